"""Attacks on what lies beside the standard library: packages of the host, which may hold solutions and tokens."""
import sysconfig

LIBRARY = sysconfig.get_paths()["stdlib"]
# The packages that come with Python, or those of a distribution.
PACKAGES = next((p for p in (LIBRARY + "/site-packages", "/usr/lib/python3/dist-packages") if os.path.isdir(p)), "/nowhere")


def some_package_file(folder):
    for path, _, names in os.walk(folder):
        for name in names:
            if name.endswith(".py") and os.path.getsize(os.path.join(path, name)):
                return os.path.join(path, name)
    raise FileNotFoundError(folder)


def read_packages():
    return len(open(some_package_file(PACKAGES)).read()) > 0


def list_packages():
    return len(os.listdir(PACKAGES)) > 0


def list_packages_by_descriptor():
    folder = os.open(PACKAGES, os.O_PATH)
    return len(os.listdir(os.open(".", os.O_RDONLY, dir_fd=folder))) > 0


def list_library_folder():
    return "site-packages" in os.listdir(LIBRARY) or "test" in os.listdir(LIBRARY)


def list_packages_through_the_library():
    import json
    return len(os.listdir(os.path.dirname(json.__file__) + "/../" + os.path.basename(PACKAGES))) > 0


def list_packages_through_a_link():
    os.symlink(PACKAGES, "innocent")
    return len(os.listdir("innocent")) > 0


def walk_into_packages():
    os.chdir(PACKAGES)
    return len(os.listdir(".")) > 0


def import_package():
    import importlib
    sys.path.append(PACKAGES)
    return importlib.import_module(some_package()).__file__ is not None


def some_package(folder=PACKAGES):
    for name in ("pip", "setuptools", "pkg_resources", "apt_pkg"):
        if os.path.exists(os.path.join(folder, name)):
            return name
    raise FileNotFoundError(folder)


def link_to_packages():
    os.link(some_package_file(PACKAGES), "innocent.py")
    return len(open("innocent.py").read()) > 0


def tests_of_python():
    return len(os.listdir(LIBRARY + "/test")) > 0


def write_into_the_library():
    import json
    with open(os.path.dirname(json.__file__) + "/innocent.py", "x"):
        pass
    os.remove(os.path.dirname(json.__file__) + "/innocent.py")
    return True


def remove_from_the_library():
    import json
    path = os.path.dirname(json.__file__)
    os.rename(path, path + "_")
    os.rename(path + "_", path)
    return True
