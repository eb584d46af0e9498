"""What is installed: version, packages, console script, and every direct dependency, stated once and as a range.

The exact versions that are tested stand in `requirements.lock`; `make lock` writes it from the ranges below.
"""

from pathlib import Path

from setuptools import find_packages, setup

setup(
    name="tiktok-events-pipeline",
    version="0.2.0",
    description="Forwards mParticle commerce events to TikTok's Events API, with one outcome for every event.",
    long_description=Path(__file__).with_name("README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    keywords=["mparticle", "tiktok", "events-api", "conversions", "apache-beam", "dataflow", "pubsub", "parquet"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Developers",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Internet :: WWW/HTTP",
        "Topic :: System :: Distributed Computing",
        "Typing :: Typed",
    ],
    license_expression="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11,<3.14",
    packages=find_packages(include=["pipeline", "pipeline.*", "transforms", "transforms.*", "sandbox", "sandbox.*"]),
    package_data={"": ["py.typed", "*.pyi", "*.yaml"]},
    install_requires=[
        "apache-beam[gcp]>=2.77,<2.78",
        "google-cloud-dataflow-client>=0.13,<0.14",  # Beam 2.77 allows no newer one
        "google-cloud-pubsub>=2.30,<3",
        "google-cloud-secret-manager>=2.20,<3",
        "google-crc32c>=1.5,<2",
        "lazy-loader>=0.4,<1",
        "msgspec>=0.20,<0.24",
        "numpy>=2,<3",
        "phonenumbers>=9,<10",
        "pyarrow>=20,<26",  # Beam 2.77 allows no newer one
        "pycountry>=24",
        "PyYAML>=6,<7",
        "requests>=2.32.2,<3",
        "rich>=14,<16",
        "urllib3>=2.2,<3",
        "xxhash>=3.5,<5",
    ],
    extras_require={
        # What `demo` and `sandbox` need: the parser of the stand-in for TikTok. Workers do not have it.
        "sandbox": ["httptools>=0.6.4,<0.10"],
        "dev": [
            "cryptography>=45",
            "hypothesis>=6.130,<7",
            "jsonschema>=4.23,<5",
            "mypy>=2,<3",
            "packaging>=25",
            "pytest>=9,<10",
            "pytest-cov>=7,<8",
            "pytest-timeout>=2.4,<3",
            "pytest-xdist>=3.8,<4",
            "ruff>=0.17,<0.18",
            "setuptools>=77",
            "types-PyYAML>=6,<7",
            "types-requests>=2.32,<3",
            "uv>=0.13,<0.14",
        ],
        "docs": ["zensical>=0.0.73,<0.2"],
    },
    entry_points={"console_scripts": ["tiktok-events = pipeline.cli.main:main"]},
)
