"""Start a program that sees nothing of this machine: ``python -I -S jail.py MODE PARENT PROGRAM``.

On Linux the program gets namespaces of its own. It has no network, sees no other process and no file but Python and
the system's libraries, all of them read-only; root becomes nobody. It ends when its parent ends. Elsewhere, and where
Linux does not allow this, the mode ``preferred`` runs it with the limits alone, and ``required`` refuses.

The first line on standard error is ``isolated``, or says why not; it is written before the program starts, so that the
program cannot forge it. The exit code is the program's own, 128 + N if signal N ended it, or NOT_ISOLATED. Nothing of
the bundle is imported here. Sources: user_namespaces(7), pid_namespaces(7), pivot_root(2), mount_setattr(2), prctl(2).
"""

import contextlib
import ctypes
import os
import resource
import signal
import struct
import sys
from typing import Any

CPU_SECONDS = 20
MEMORY_BYTES = 1 << 30
OPEN_FILES = 64
PROCESSES = 32  # threads count; only in a user namespace, where the user's other processes do not
NOT_ISOLATED = 125
NOBODY = 65534

NAMESPACES = 0x10000000 | 0x20000000 | 0x40000000 | 0x00020000 | 0x08000000 | 0x04000000  # user pid net mount ipc uts
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 1 << 18
MNT_DETACH = 2
MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE = 442, -100, 0x8000
READ_ONLY, NO_SETUID, NO_DEVICES = 1, 2, 4

LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/nix/store", "/gnu/store")
PYTHON = os.path.realpath(getattr(sys, "_base_executable", sys.executable))  # outside of any virtual environment
MODULE = os.path.realpath(os.__file__)  # of the standard library
OTHERS = ("/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo", "/dev/null")


class Kernel:
    """System calls that Python does not offer. Each raises OSError; a C library without them raises AttributeError."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None, use_errno=True)

    def call(self, name: str, *args: Any) -> None:
        """Call a function of the C library that returns 0 if it succeeds."""
        if getattr(self._library, name)(*args) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"{name}: {os.strerror(number)}")

    def mount(self, source: str, target: str, kind: str, flags: int, options: str = "") -> None:
        self.call("mount", source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode())

    def protect(self, target: str, attributes: int) -> None:
        """Make a mount, and all below it, read-only and the like (Linux 5.12)."""
        wanted = struct.pack("QQQQ", attributes, 0, 0, 0)
        path, flags, size = target.encode(), ctypes.c_uint(AT_RECURSIVE), ctypes.c_size_t(len(wanted))
        self.call("syscall", ctypes.c_long(MOUNT_SETATTR), ctypes.c_int(AT_FDCWD), path, flags, wanted, size)

    def die_with_parent(self) -> None:
        """End when the parent ends. A change of user or namespace forgets this."""
        self.call("prctl", PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)


def main() -> None:
    """Isolate and run the program of the command line."""
    mode, parent, path = sys.argv[1:]
    close_inherited()
    with open(path, encoding="utf-8") as file:
        program = file.read()
    reason = f"{sys.platform} has no namespaces"
    if sys.platform == "linux":
        kernel = Kernel()
        kernel.die_with_parent()
        if os.getppid() != int(parent):
            os._exit(NOT_ISOLATED)  # it ended before it could be noticed
        reason = run_isolated(kernel, program)
    os.write(2, f"not isolated: {reason}\n".encode())
    if mode == "required":
        os._exit(NOT_ISOLATED)
    limit(isolated=False)
    start(sys.executable, program)


def run_isolated(kernel: Kernel, program: str) -> str:
    """Run the program in namespaces, and exit with its code. Returns only if that is impossible, with the reason."""
    reports, report_to = os.pipe()  # what the child reports: a line once it has its namespaces, a reason if it fails
    proceed, allow = os.pipe()
    parent, child = os.getpid(), os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            close(reports, allow)
            isolated_child(kernel, program, parent, report_to, proceed)
        os._exit(NOT_ISOLATED)
    close(report_to, proceed)
    report = os.read(reports, 4096)
    if report == b"\n":
        try:
            write_maps(child)
        except OSError as error:
            report = f"user map: {error.strerror}".encode()
        else:
            os.write(allow, b"\n")
            report = os.read(reports, 4096)  # empty once the program may start
    close(allow, reports)
    status = os.waitpid(child, 0)[1]
    if report:
        return report.decode(errors="replace")
    os._exit(exit_code(status))


def exit_code(status: int) -> int:
    """The exit code to pass on for a wait status, as a shell does it."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def write_maps(child: int) -> None:
    """Map users and groups for the child's namespace: root also gets nobody, to become it; others only themselves."""
    root = os.getuid() == 0
    if not root:
        put(f"/proc/{child}/setgroups", "deny")
    for name, own in (("uid_map", os.getuid()), ("gid_map", os.getgid())):
        put(f"/proc/{child}/{name}", f"0 0 1\n{NOBODY} {NOBODY} 1\n" if root else f"{own} {own} 1\n")


def close_inherited() -> None:
    """Close every file but the standard streams: whoever starts this may have handed over any number of them."""
    try:
        numbers = [int(name) for name in os.listdir("/dev/fd")]
    except OSError:
        numbers = list(range(os.sysconf("SC_OPEN_MAX")))
    for number in numbers:
        if number > 2:
            with contextlib.suppress(OSError):  # the listing itself had one, which is closed by now
                os.close(number)


def close(*descriptors: int) -> None:
    """Close descriptors."""
    for descriptor in descriptors:
        os.close(descriptor)


def put(path: str, text: str) -> None:
    """Write a file of the kernel's, which takes its text in one piece."""
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def isolated_child(kernel: Kernel, program: str, parent: int, report_to: int, proceed: int) -> None:
    """Take the namespaces; the first process in them starts the program, and with its end everything in them ends."""
    try:
        root = os.getuid() == 0
        kernel.call("unshare", NAMESPACES)
        kernel.die_with_parent()
        os.write(report_to, b"\n")
        if not os.read(proceed, 1) or os.getppid() != parent:
            return
        alive, held = os.pipe()  # at its end once this process has ended
        first = os.fork()
        if first == 0:
            os.close(held)
            build_view(kernel)
            if root:
                become_nobody()
            kernel.die_with_parent()
            kernel.call("prctl", PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), 0, 0, 0)
            if not is_at_end(alive):
                supervise(program, report_to)
            return
        os.close(report_to)
        os._exit(exit_code(os.waitpid(first, 0)[1]))
    except (OSError, AttributeError) as error:
        os.write(report_to, str(getattr(error, "strerror", None) or error).encode())


def become_nobody() -> None:
    """Give up the identity of root, whose files the program could read and whose limits do not count processes."""
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def is_at_end(pipe: int) -> bool:
    """Whether no process holds the pipe's other end any more."""
    os.set_blocking(pipe, False)
    try:
        return os.read(pipe, 1) == b""
    except BlockingIOError:
        return False


def build_view(kernel: Kernel) -> None:
    """Replace all files by a view that holds Python, the system's libraries, and an empty working directory."""
    new = os.getcwd()
    kernel.mount("none", "/", "", MS_REC | MS_PRIVATE)
    kernel.mount("tmpfs", new, "tmpfs", NO_SETUID | NO_DEVICES, "size=1m,mode=755")
    shown: list[str] = []
    for path in (*LIBRARIES, PYTHON, os.path.dirname(MODULE), os.path.realpath(f"{sys.base_prefix}/lib"), *OTHERS):
        if any(path == other or path.startswith(f"{other}/") for other in shown) or not os.path.exists(path):
            continue
        if path in LIBRARIES and os.path.islink(path):
            os.symlink(os.readlink(path), f"{new}{path}")
        else:
            show(kernel, path, f"{new}{path}")
            shown.append(path)
    os.mkdir(f"{new}/work")
    os.chdir(new)
    kernel.call("pivot_root", b".", b".")
    kernel.call("umount2", b".", MNT_DETACH)
    kernel.protect("/", READ_ONLY | NO_SETUID)
    os.chdir("/work")


def show(kernel: Kernel, path: str, place: str) -> None:
    """Show a file or folder at a place of the view, read-only."""
    if os.path.isdir(path):
        os.makedirs(place, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(place), exist_ok=True)
        os.close(os.open(place, os.O_CREAT | os.O_WRONLY))
    kernel.mount(path, place, "", MS_BIND | MS_REC)
    kernel.protect(place, READ_ONLY | NO_SETUID | (0 if path == os.devnull else NO_DEVICES))


def supervise(program: str, report_to: int) -> None:
    """Run the program as the first process of its namespace, and exit with its code; everything else then ends too."""
    if not os.access(PYTHON, os.X_OK) or not os.access(MODULE, os.R_OK):
        raise PermissionError("Python itself may be read by its owner alone")
    os.write(2, b"isolated\n")
    os.close(report_to)
    child = os.fork()
    if child == 0:
        limit(isolated=True)
        start(PYTHON, program)
    ended, status = 0, 0
    while ended != child:
        ended, status = os.waitpid(-1, 0)
    os._exit(exit_code(status))


def limit(*, isolated: bool) -> None:
    """Limit what the program may use; a limit that is lower already stays, and what a system lacks is left out."""
    limits = [(resource.RLIMIT_CPU, CPU_SECONDS), (resource.RLIMIT_AS, MEMORY_BYTES), (resource.RLIMIT_FSIZE, 0),
              (resource.RLIMIT_NOFILE, OPEN_FILES), (resource.RLIMIT_CORE, 0)]  # fmt: skip
    limits += [(resource.RLIMIT_NPROC, PROCESSES)] if isolated else []
    for name, wanted in limits:
        highest = resource.getrlimit(name)[1]
        value = wanted if highest == resource.RLIM_INFINITY else min(wanted, highest)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(name, (value, value))


def start(executable: str, program: str) -> None:
    """Replace this process by the program, with an empty environment, and the standard streams as its only files."""
    os.closerange(3, OPEN_FILES)
    os.execve(executable, [executable, "-I", "-S", "-X", "utf8", "-c", program], {})  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
