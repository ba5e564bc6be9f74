"""Which files may be loaded, and whose bytecode.

These are the rules of a worker and of the interpreters that its tasks start by multiprocessing,
which read this text (see children.py): so it needs nothing of the runtime. A file is opened
first, without reading, and then it is looked at what has been opened: whatever somebody
exchanges meanwhile, what is read is what was looked at.
"""

import functools
import stat
import sys
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder, SourceFileLoader, SourcelessFileLoader
from importlib.util import MAGIC_NUMBER, module_from_spec, spec_from_file_location
from os import O_CLOEXEC, O_PATH, O_RDONLY, close, fsencode, fstat, geteuid, getxattr, lstat, open as open_descriptor, path, readlink
from time import monotonic

LOOK_SECONDS = 1.0  # for how long a look at a folder holds: imports come in hundreds


class Rules:
    """What holds in this process."""

    def __init__(self):
        self.users = {0, geteuid()}  # whose bytecode is trusted: root's, the daemon's, the worker's
        self.groups = {0: set()}     # gid -> the uids of its members, None: not known
        self.looks = {}              # folder -> when it was looked at, and why others may write there
        self.folders = ()            # real paths of script_dirs and of the worker's own; none: all files may be loaded
        self.roots = ("/",)          # of libraries; until preloading is done, all are
        self.sound = ()              # those of them in which nobody else could write when all owners were seen
        self.hidden = None           # the uid that stands for all users whom this process's namespace does not have
        self.told = set()            # what the log has
        self.log = bool
        self.text = ""               # the file in which children find this
        self.code = None             # what they are given instead, if they can't read that
        self.beneath = self.pinned_beneath

    def is_library(self, folder):
        return (folder + "/").startswith(self.roots)

    def open(self, file):
        """A descriptor of a file, by its real path, which is beneath one of the folders."""
        return self.beneath(file) if self.folders else open_descriptor(file, O_RDONLY | O_CLOEXEC)

    def pinned_beneath(self, file):
        with Pinned(file) as pinned:
            if not pinned.file.startswith(tuple(folder.rstrip("/") + "/" for folder in self.folders)):
                raise PermissionError("%s is not beneath one of access.script_dirs" % file)
            return pinned.reopen()

    def read(self, file):
        """The content of a script's file."""
        with open(self.open(path.realpath(file)), "rb") as opened:
            return opened.read()

    def read_bytecode(self, file, also=()):
        """The content of a file of bytecode, and None; or None and why it is not trusted. also: other users who are."""
        with Pinned(file) as pinned:
            reason = self.mistrust(pinned, tuple(also))
            if reason is not None:
                return None, reason
            with open(pinned.reopen(), "rb") as opened:
                return opened.read(), None

    def trusted(self, file, also):
        """Whose files are trusted there."""
        users = {geteuid(), *self.users, *also}
        if self.hidden is not None and (file + "/").startswith(self.sound):
            users.add(self.hidden)
        return users

    def note_sound(self):
        """Note which libraries are nobody else's, for a process that will not see it."""
        self.sound = tuple(root for root in self.roots if path.isdir(root) and self.mistrust_folder(path.realpath(root)) is None)

    def look_at_namespace(self):
        """In a namespace of users that has not all of them, most files are shown as one user's and one group's."""
        with open("/proc/self/uid_map") as mapped:
            if any(line.split()[0] == "0" for line in mapped):
                return
        with open("/proc/sys/kernel/overflowuid") as user, open("/proc/sys/kernel/overflowgid") as group:
            self.hidden = int(user.read())
            self.groups[int(group.read())] = set()
        self.looks.clear()

    def mistrust(self, pinned, also):
        """Why others may have written what is in a file, or may exchange it; None if they can't."""
        seen, users = pinned.seen(), self.trusted(pinned.file, also)
        if not stat.S_ISREG(seen.st_mode):
            return "%s is not a file" % pinned.file
        return self.mistrust_folder(path.dirname(pinned.file), also) or self.writers(pinned.file, seen, pinned.name, users)

    def mistrust_folder(self, folder, also=()):
        """Why others may exchange what is in a folder, by its real path; None if they can't. The answer holds for a
        moment: who may not write there can't change it."""
        key, now = (folder, geteuid(), also), monotonic()
        known = self.looks.get(key)
        if known is None or now - known[0] > LOOK_SECONDS:
            known = self.looks[key] = now, self.look_at_folder(folder, self.trusted(folder, also))
        return known[1]

    def look_at_folder(self, folder, users):
        """From the root on: nobody else can exchange what stands in a folder that is nobody else's."""
        parts = folder.strip("/").split("/")
        for i in range(len(parts) + 1):
            above = "/" + "/".join(parts[:i])
            seen = lstat(above)
            # In a sticky folder nobody exchanges another's folder, but anybody may add a file.
            if i < len(parts) and seen.st_mode & stat.S_ISVTX and seen.st_uid in users:
                continue
            reason = self.writers(above, seen, above, users)
            if reason is not None:
                return reason
        return None

    def writers(self, shown, seen, name, users):
        """Who else may write what that is; name is for the kernel. None: nobody."""
        if seen.st_uid not in users:
            return "%s belongs to user %d" % (shown, seen.st_uid)
        if seen.st_mode & stat.S_IWOTH:
            return "anybody may write in %s" % shown
        if seen.st_mode & stat.S_IWGRP:
            if not self.is_nobodys(seen.st_gid, users):
                return "group %d may write in %s" % (seen.st_gid, shown)
            if has_list(name):
                return "its access control list lets others write in %s" % shown
        return None

    def is_nobodys(self, gid, users):
        """Whether a group has no members but these users."""
        if gid not in self.groups:
            try:
                self.groups[gid] = members(gid)
            except KeyError:
                self.groups[gid] = None
        known = self.groups[gid]
        return known is not None and known <= users

    def tell(self, file, reason):
        """Log once for each reason that bytecode is not used."""
        if reason not in self.told:
            self.told.add(reason)
            self.log("bytecode of %s and what stands beside it is not used: %s" % (file, reason))


def members(gid):
    """The uids of a group's members. KeyError: there is one who is no user, or no such group."""
    import grp
    import pwd
    return {pwd.getpwnam(name).pw_uid for name in grp.getgrgid(gid).gr_mem} | {user.pw_uid for user in pwd.getpwall() if user.pw_gid == gid}


def has_list(name):
    """Whether there is an access control list: its mask is shown as the group's bits, whoever it is for."""
    try:
        return bool(getxattr(name, "system.posix_acl_access"))
    except OSError:
        return False


class Pinned:
    """A file that is held, and not yet opened for reading: that would be felt by a device or a pipe."""

    def __init__(self, file):
        self.descriptor = open_descriptor(file, O_PATH | O_CLOEXEC)
        self.name = "/proc/self/fd/%d" % self.descriptor
        self.file = None

    def __enter__(self):
        try:
            self.file = readlink(self.name)
        except BaseException:
            close(self.descriptor)
            raise
        return self

    def __exit__(self, *_):
        close(self.descriptor)

    def seen(self):
        return fstat(self.descriptor)

    def reopen(self):
        return open_descriptor(self.name, O_RDONLY | O_CLOEXEC)


rules = Rules()


class Source(SourceFileLoader):
    """Loads a script's file, or one beside it, always from its source: whose bytecode is there nobody knows."""

    def get_code(self, fullname):
        data = self.get_data(self.path)
        try:
            return self.source_to_code(data, self.path)
        except (ValueError, UnicodeError) as error:
            raise SyntaxError(str(error), (self.path, None, None, None)) from None

    def get_data(self, path):
        return rules.read(path)


class Extension(ExtensionFileLoader):
    """Loads a compiled module. Its file is looked at where it is opened, and then loaded by its name, since
    it finds what stands beside it by that: who may exchange it then may write beneath script_dirs."""

    def create_module(self, spec):
        if rules.folders:
            close(rules.open(path.realpath(self.path)))
        return super().create_module(spec)


class Bytecode(SourcelessFileLoader):
    """Loads a script's module of which there is only compiled code, which nobody else may have written."""

    def get_data(self, file):
        if rules.folders:
            close(rules.open(path.realpath(file)))
        data, reason = rules.read_bytecode(file, self.also())
        if reason is not None:
            raise ImportError("%s is compiled code, and others may write it: %s" % (file, reason), path=file)
        return data

    def also(self):
        """Other users who are trusted."""
        return ()


class CompiledLibrary(Bytecode):
    """The same of a library, which is beneath none of the folders."""

    def get_data(self, file):
        data, reason = rules.read_bytecode(file)
        if reason is not None:
            raise ImportError("%s is compiled code, and others may write it: %s" % (file, reason), path=file)
        return data


class Library(SourceFileLoader):
    """Loads a library's module, from its bytecode if that can be trusted."""

    mistrusted = False

    def get_data(self, file):
        if file == self.path or not file.endswith(".pyc"):
            return super().get_data(file)
        data, reason = rules.read_bytecode(file)
        if reason is None:
            return data
        self.mistrusted = True
        rules.tell(self.path, reason)
        raise OSError(reason)  # as if there were none

    def set_data(self, file, data, *, _mode=0o666):
        """Nothing is written where others may write."""
        if not self.mistrusted and rules.mistrust_folder(existing(path.dirname(file))) is None:
            super().set_data(file, data, _mode=_mode)


def existing(folder):
    """The real path of a folder, or of the one above in which it would be made."""
    while not path.isdir(folder):
        folder = path.dirname(folder)
    return path.realpath(folder)


DETAILS = ((Extension, EXTENSION_SUFFIXES), (Source, [".py"]), (Bytecode, [".pyc"]))
OF_LIBRARIES = ((ExtensionFileLoader, EXTENSION_SUFFIXES), (Library, [".py"]), (CompiledLibrary, [".pyc"]))


class Nothing:
    """Finds nothing in an entry of sys.path that is no folder: what Python would find in an archive is not beneath script_dirs."""

    def __init__(self, entry):
        self.entry = entry

    def find_spec(self, fullname, target=None):
        return None

    def invalidate_caches(self):
        sys.path_importer_cache.pop(self.entry, None)


def finders(finder=FileFinder, details=DETAILS):
    """For sys.path_hooks: libraries have a FileFinder of Python's, other folders that one."""
    def hook(entry):
        library = rules.is_library(path.realpath(entry))
        if not path.isdir(entry):
            if rules.folders and not library:
                return Nothing(entry)
            raise ImportError("not a folder", path=entry)
        if library:
            return FileFinder(entry, *OF_LIBRARIES)
        return finder(entry, *details)
    return hook


def main_from_file(file):
    """What multiprocessing.spawn does to have a child's functions found that are its parent's main module's."""
    from multiprocessing import spawn
    before = sys.modules["__main__"]
    if getattr(before, "__file__", None) == file:
        return
    spawn.old_main_modules.append(before)
    loader = Source("__mp_main__", file)
    module = module_from_spec(spec_from_file_location("__mp_main__", file, loader=loader))
    exec(loader.get_code("__mp_main__"), module.__dict__)
    sys.modules["__main__"] = sys.modules["__mp_main__"] = module


def serve_main():
    """multiprocessing.spawn is loaded."""
    if rules.folders:
        sys.modules["multiprocessing.spawn"]._fixup_main_from_path = main_from_file


def serve_children():
    """multiprocessing.util is loaded: have all interpreters that it starts load by these rules, from their first line on."""
    util = sys.modules["multiprocessing.util"]
    launch = util.spawnv_passfds

    @functools.wraps(launch)
    def confined(program, args, descriptors):
        args = list(args)
        for i in range(len(args) - 1):
            if args[i] == "-c":
                args[i + 1] = preamble() + args[i + 1]
                break
        return launch(program, args, descriptors)

    util.spawnv_passfds = confined


FROM_FILE = """code = None; read = open(%r, "rb").read()
exec(marshal.loads(read[4:]) if read[:4] == e.MAGIC_NUMBER else compile(open(%r, "rb").read(), "<cpulb>/rules.py", "exec"), names); del read"""
CARRIED = """import binascii, zlib; code = %r
if e.MAGIC_NUMBER != %r: sys.exit("only the worker's version of Python can be a child of multiprocessing here")
exec(marshal.loads(zlib.decompress(binascii.a2b_base64(code))), names); del binascii, zlib"""


def preamble(then="pass"):
    """The first statements of a child. Its working folder is not searched for modules: multiprocessing gives it a path."""
    settings = sorted(rules.users), rules.roots, rules.folders, rules.sound, rules.hidden, rules.text
    load = CARRIED % (rules.code, MAGIC_NUMBER) if rules.code else FROM_FILE % (rules.text[:-2] + "code", rules.text)
    return ("import sys, marshal, _frozen_importlib_external as e; sys.path[:] = filter(None, sys.path); names = {'__name__': '_cpulb_rules'}\n"
            "%s\nnames['begin_child'](code, *%r); %s; del marshal, e, code, names\n" % (load, settings, then))


def exec_and_serve(loader, module):
    """A child's Library.exec_module."""
    SourceFileLoader.exec_module(loader, module)
    then = {"multiprocessing.util": serve_children, "multiprocessing.spawn": serve_main}.get(loader.name)
    if then is not None:
        then()


def begin_child(code, users, *settings):
    rules.code = code
    rules.users.update(users)
    rules.roots, rules.folders, rules.sound, rules.hidden, rules.text = settings
    # Warnings of libraries pass over the frames of importlib, and are to pass over this one.
    exec_and_serve.__code__ = exec_and_serve.__code__.replace(co_filename="<frozen importlib._bootstrap>")
    Library.exec_module = exec_and_serve
    sys.path_hooks.insert(0, finders())
    sys.path_importer_cache.clear()


def run_plain():
    """Be `python script.py`: the script and its arguments are the interpreter's own."""
    import builtins
    del sys.argv[0]
    file = sys.argv[0]
    sys.path.insert(0, path.dirname(path.realpath(file)))
    main, loader = sys.modules["__main__"], Source("__main__", file)
    main.__dict__.clear()
    main.__dict__.update(__name__="__main__", __file__=file, __loader__=loader, __spec__=None, __package__=None, __cached__=None,
                         __doc__=None, __annotations__={}, __builtins__=builtins)
    try:
        code = loader.get_code("__main__")
    except SyntaxError as error:
        end(error, None)
    try:
        exec(code, main.__dict__)
    except Exception as error:
        end(error, error.__traceback__.tb_next)
    except KeyboardInterrupt as error:
        end(error, error.__traceback__.tb_next, 130)
    sys.exit()


def end(error, traceback, code=1):
    """End as the interpreter does of an exception that nobody handles."""
    error.__traceback__ = traceback
    sys.excepthook(type(error), error, traceback)
    sys.exit(code)
