"""A wheel of one platform where the binary is in `belljar/bin`, and of any where it is not. `sdk/python/wheel` puts it there."""

from pathlib import Path

from setuptools import setup
from wheel.bdist_wheel import bdist_wheel

CARRIES = (Path(__file__).parent / "belljar" / "bin" / "belljar").is_file()


class Wheel(bdist_wheel):
    """The binary is static: any libc will do, and any Python."""

    def finalize_options(self):
        super().finalize_options()
        self.root_is_pure = not CARRIES

    def get_tag(self):
        if not CARRIES:
            return super().get_tag()
        return "py3", "none", "manylinux_2_17_x86_64.manylinux2014_x86_64.musllinux_1_1_x86_64"


setup(cmdclass={"bdist_wheel": Wheel})
