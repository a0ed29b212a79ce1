"""What Java throws, as errors of bfio."""

import errno
import logging
import pickle
import threading
import time

import pytest

import bfio
from bfio import BackendMissingError, BfioError, FormatError, LimitError, UnsupportedError
from bfio.bioformats import jvm, logs
from bfio.bioformats.failures import java_errors

PATH = "/data/plate 1.czi"


def made(name, *arguments):
    """A Java exception that Java made: those that jpype makes have no methods where they are ValueErrors as well."""
    kinds = [jvm.java("java.lang.Throwable" if hasattr(value, "getCause") else "java.lang.String") for value in arguments]
    return jvm.java(name).class_.getConstructor([kind.class_ for kind in kinds]).newInstance(list(arguments))


def thrown(name, *arguments):
    """The error that bfio makes of a Java exception."""
    with pytest.raises(Exception) as caught, java_errors(PATH, "opening"):
        raise made(name, *arguments)
    return caught.value


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("loci.formats.UnknownFormatException", UnsupportedError),
        ("loci.formats.UnsupportedCompressionException", UnsupportedError),
        ("loci.formats.MissingLibraryException", UnsupportedError),
        ("java.lang.UnsupportedOperationException", UnsupportedError),
        ("loci.formats.FormatException", FormatError),
        ("java.io.EOFException", FormatError),
        ("java.io.IOException", FormatError),
        ("java.util.zip.ZipException", FormatError),
        ("java.lang.NegativeArraySizeException", FormatError),
        ("java.lang.ArrayIndexOutOfBoundsException", FormatError),
        ("java.lang.NullPointerException", FormatError),
        ("java.lang.ClassCastException", FormatError),
        ("java.lang.NumberFormatException", FormatError),
        ("java.lang.StackOverflowError", FormatError),
        ("java.lang.IllegalArgumentException", FormatError),
        ("java.lang.OutOfMemoryError", LimitError),
        ("java.lang.NoClassDefFoundError", BackendMissingError),
        ("java.lang.UnsatisfiedLinkError", BackendMissingError),
        ("java.lang.ClassNotFoundException", BackendMissingError),
    ],
)
def test_kinds(name, kind):
    error = thrown(name, "what Java says")
    assert type(error) is kind
    assert str(error).startswith(f"{PATH}: opening: ")
    assert type(error.__cause__).__name__ == name
    if kind is not LimitError:
        assert "what Java says" in str(error) and name not in str(error)


@pytest.mark.parametrize(
    "message",
    ["Unable to find TiffCompresssion with code: 9999", "64-bit int data not supported", "Unsupported bit depth: 3",
     "JPEG-LS is not yet supported", "Sorry, complex data are not currently supported"],
)  # fmt: skip
def test_sound_files_that_bioformats_can_not_read(message):
    for name in ("loci.formats.FormatException", "java.lang.IllegalArgumentException"):
        assert type(thrown(name, message)) is UnsupportedError
    assert type(thrown("loci.formats.FormatException", "Unable to find the end of the header")) is FormatError


def test_a_missing_library_is_unsupported_though_a_class_is_missing():
    inner = made("java.lang.NoClassDefFoundError", "javax/media/jai/JAI")
    assert type(thrown("loci.formats.MissingLibraryException", "JAI is needed", inner)) is UnsupportedError


def test_the_heap_is_named():
    message = str(thrown("java.lang.OutOfMemoryError", "Java heap space"))
    assert f"heap of {jvm.running().max_heap >> 20} MB" in message and "BFIO_JAVA_MAX_HEAP" in message


def test_an_incomplete_java_is_named():
    assert "pip install 'bfio[java]'" in str(thrown("java.lang.NoClassDefFoundError", "java/awt/Image"))


@pytest.mark.parametrize(
    ("message", "number", "kind"),
    [
        ("/data/plate 1.czi (No such file or directory)", errno.ENOENT, FileNotFoundError),
        ("/data/plate 1.czi (Permission denied)", errno.EACCES, PermissionError),
        ("/data/plate 1.czi (Is a directory)", errno.EISDIR, IsADirectoryError),
        ("/data/plate 1.czi (Too many open files)", errno.EMFILE, OSError),
        ("/data/plate 1.czi", errno.ENOENT, FileNotFoundError),
        (None, errno.ENOENT, FileNotFoundError),
    ],
)
def test_a_file_that_can_not_be_opened(message, number, kind):
    error = thrown("java.io.FileNotFoundException", *([] if message is None else [message]))
    assert type(error) is kind and error.errno == number and error.filename == PATH


@pytest.mark.parametrize("message", ["Input/output error", "No space left on device", "x: No space left on device"])
def test_what_the_disk_says_is_an_oserror(message):
    error = thrown("java.io.IOException", message)
    assert type(error) is OSError and error.errno in (errno.EIO, errno.ENOSPC) and error.__cause__ is not None


def test_causes_are_looked_at():
    inner = made("java.lang.NoClassDefFoundError", "java/awt/Image")
    assert isinstance(thrown("loci.formats.FormatException", "outer", inner), BackendMissingError)
    inner = made("java.lang.OutOfMemoryError", "Java heap space")
    assert isinstance(thrown("java.io.IOException", "outer", inner), LimitError)
    inner = made("java.lang.IllegalStateException", "said within")
    assert "said within" in str(thrown("java.lang.RuntimeException", None, inner))


def test_one_line_of_bounded_length():
    message = str(thrown("loci.formats.FormatException", "first\tline\nsecond line"))
    assert message == f"{PATH}: opening: first line"
    assert len(str(thrown("loci.formats.FormatException", "x" * 5000))) < 400
    assert str(thrown("java.lang.NullPointerException")).endswith("opening: java.lang.NullPointerException")


def test_the_path_is_told_once():
    assert str(thrown("loci.formats.FormatException", f"Bad file: {PATH}")) == f"{PATH}: opening: Bad file"


def test_an_error_can_go_to_another_process():
    error = pickle.loads(pickle.dumps(thrown("java.lang.NullPointerException", "x")))
    assert type(error) is FormatError and str(error) == f"{PATH}: opening: x"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ZeroDivisionError("x"), LimitError("y"), SystemExit(3)])
def test_errors_of_python_pass(error):
    with pytest.raises(type(error)) as caught, java_errors(PATH, "opening"):
        raise error
    assert caught.value is error


def test_a_call_after_the_end_of_java():
    import jpype

    with pytest.raises(bfio.UsageError, match="can not start again"), java_errors(PATH, "opening"):
        raise jpype.JVMNotRunning("Java Virtual Machine is not running")


def open_with_java(path):
    reader = jvm.java("loci.formats.ImageReader")()
    try:
        with java_errors(str(path), "opening"):
            reader.setId(str(path))
        return reader.getSizeX()
    finally:
        reader.close()


def test_real_files(tmp_path):
    assert open_with_java("a&sizeX=40&sizeY=30.fake") == 40
    with pytest.raises(FileNotFoundError):
        open_with_java(tmp_path / "absent.tif")
    (tmp_path / "text.xyz").write_text("no image")
    with pytest.raises(UnsupportedError, match="Unknown file format"):
        open_with_java(tmp_path / "text.xyz")
    for name, content in (("cut.tif", b"II*\0\x08\0\0\0"), ("cut.czi", b"ZISRAWFILE" + bytes(40)), ("e.nd2", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BfioError):
            open_with_java(tmp_path / name)


@pytest.fixture
def level():
    """Set the level of the logger, for the time of a test."""
    log = logging.getLogger("bfio.bioformats")
    before = log.level
    yield log.setLevel
    log.setLevel(before)
    logs.forward()


def test_logs_of_java_reach_the_logger(caplog, level):
    level(logging.DEBUG)
    open_with_java("a&sizeX=40&sizeY=30.fake")
    caplog.clear()
    open_with_java("b&sizeX=40&sizeY=30.fake")
    record = next(record for record in caplog.records if "b&sizeX" in record.getMessage())
    assert record.name == "bfio.bioformats" and record.levelno in (logging.INFO, logging.DEBUG)
    assert record.getMessage().startswith("loci.formats.") and abs(record.created - time.time()) < 60


def log_something():
    """Two records of level DEBUG, cheaply."""
    jvm.java("loci.common.DateTools").formatDate("no date", "yyyy")


def test_a_flood_of_logs_stays_bounded(caplog, level):
    level(logging.DEBUG)
    logs.forward()
    for _ in range(logs._RING):
        log_something()
    assert logs._Ring.appender.getLength() == logs._RING
    caplog.clear()
    logs.forward()
    assert len(caplog.records) == logs._RING and logs._Ring.appender.getLength() == 0


def test_java_follows_the_level_of_the_logger(level):
    level(logging.ERROR)
    logs.forward()
    log_something()
    assert logs._Ring.appender.getLength() == 0
    level(logging.DEBUG)
    logs.forward()
    log_something()
    assert logs._Ring.appender.getLength() == 2


def test_many_threads_hand_each_record_on_once(caplog, level):
    level(logging.DEBUG)
    logs.forward()
    caplog.clear()

    def work(number):
        with jvm.attached():
            for index in range(200):
                with java_errors(PATH, "x"):
                    jvm.java("loci.common.DateTools").formatDate(f"date {number}-{index}.", "yyyy")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    logs.forward()
    told = [record.getMessage() for record in caplog.records if "exception" not in record.getMessage().lower()]
    assert len(told) == len(set(told)) == 800, told[:4]
