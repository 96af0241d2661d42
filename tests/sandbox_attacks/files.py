"""Attacks on files that are none of the program's."""
import shutil


def read_secret():
    return open(TARGET["secret"]).read() == "secret of home"


def read_passwd():
    return "root" in open("/etc/passwd").read()


def read_shadow():
    return "root" in open("/etc/shadow").read()


def read_parent_environment():
    return len(open("/proc/%d/environ" % TARGET["harness"], "rb").read()) > 0


def read_own_process_folder():
    return "Name:" in open("/proc/self/status").read()


def list_processes():
    return any(name.isdigit() for name in os.listdir("/proc"))


def list_root():
    os.chdir("/")
    return bool(os.listdir("."))


def write_outside():
    with open(TARGET["outside"] + "/written", "w") as file:
        file.write("x")
    return True


def append_outside():
    with open(TARGET["outside"] + "/there", "a") as file:
        file.write("x")
    return True


def remove_outside():
    os.remove(TARGET["outside"] + "/removable")
    return True


def make_folder_outside():
    os.mkdir(TARGET["outside"] + "/folder")
    return True


def change_mode_outside():
    os.chmod(TARGET["outside"] + "/there", 0o600)
    return True


def change_times_outside():
    os.utime(TARGET["outside"] + "/there", (1, 1))
    return True


def set_attribute_outside():
    os.setxattr(TARGET["outside"] + "/there", "user.note", b"x")
    return True


def follow_symlink():
    os.symlink(TARGET["secret"], "innocent")
    return open("innocent").read() == "secret of home"


def write_through_symlink():
    os.symlink(TARGET["outside"], "folder")
    with open("folder/through", "w") as file:
        file.write("x")
    return True


def hard_link():
    os.link(TARGET["secret"], "innocent")
    return open("innocent").read() == "secret of home"


def move_in():
    os.rename(TARGET["outside"] + "/movable", "innocent")
    return True


def climb():
    path = os.path.relpath(TARGET["secret"])
    return open(path).read() == "secret of home"


def write_library():
    with open(os.__file__, "a"):
        return True


def other_programs_file():
    return open(TARGET["victim_file"]).read() == "tests of another"


def other_programs_folder():
    return bool(os.listdir(os.path.dirname(TARGET["victim_file"])))


def all_scratch_folders():
    return bool(os.listdir(os.path.dirname(os.getcwd())))


def inherited_descriptor():
    return os.pread(TARGET["descriptor"], 100, 0).startswith(b"secret of home")


def device():
    return bool(open("/dev/kmsg", "wb"))
