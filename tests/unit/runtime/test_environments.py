"""From image names to folders, Procfiles and environments. Folders are real ones."""

import asyncio
import importlib.metadata
import os
import sys
from pathlib import Path

import pytest

from warmfront.errors import SetupError
from warmfront.runtime.environments import Environments, command_of, find_folder, folder_name, installable, unmet


def function(root: Path, name: str, *, requirements: str = "", procfile: str = "web: python main.py\n") -> Path:
    folder = root / "functions" / name
    folder.mkdir(parents=True)
    (folder / "Procfile").write_text(procfile)
    (folder / "requirements.txt").write_text(requirements)
    return folder


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("dev.local/langid-fasttext:v1", "langid_fasttext"),
        ("dummy-model-fn", "dummy_model_fn"),
        ("localhost:5000/team/echo@sha256:abc", "echo"),
        ("registry:5000/echo", "echo"),
    ],
)
def test_the_last_path_part_names_the_folder(image, name):
    """Registry, tag and digest do not matter; hyphens become underscores."""
    assert folder_name(image) == name


def test_a_folder_below_functions_wins_over_one_beside_it(tmp_path):
    """Looked for as functions/NAME, then NAME."""
    (tmp_path / "echo").mkdir()
    assert find_folder(tmp_path, "dev.local/echo:v1") == tmp_path / "echo"
    inner = function(tmp_path, "echo")
    assert find_folder(tmp_path, "dev.local/echo:v1") == inner


def test_a_missing_folder_names_both_places_and_the_remedy(tmp_path):
    """The message is enough to act on."""
    with pytest.raises(SetupError, match="no function folder") as caught:
        find_folder(tmp_path, "dev.local/no-such:v1")
    assert str(tmp_path / "functions" / "no_such") in str(caught.value)
    assert str(tmp_path / "no_such") in str(caught.value)
    assert "warmfront up" in str(caught.value)


@pytest.mark.parametrize(
    ("procfile", "words"),
    [
        ("web: python main.py", ("python", "main.py")),
        ("worker: x\nweb: sh -c 'echo  $PORT'\n", ("sh", "-c", "echo  $PORT")),
    ],
)
def test_the_web_line_is_split_like_a_shell_would(tmp_path, procfile, words):
    """Quotes hold words together; nothing is expanded yet."""
    (tmp_path / "Procfile").write_text(procfile)
    assert command_of(tmp_path) == words


@pytest.mark.parametrize(("procfile", "what"), [(None, "no Procfile"), ("job: x", "no `web:`"), ("web: 'x", "quot")])
def test_an_unusable_procfile_is_a_clear_error(tmp_path, procfile, what):
    """Missing, without a web line, or unbalanced."""
    if procfile is not None:
        (tmp_path / "Procfile").write_text(procfile)
    with pytest.raises(SetupError, match=what):
        command_of(tmp_path)


def test_met_requirements_need_no_environment(tmp_path):
    """Installed in range, or for another platform: the running Python serves."""
    version = importlib.metadata.version("click")
    wanted = f"# comment\nclick>=1,<={version}  # why\nnot-here; sys_platform == 'nowhere'\n"
    folder = function(tmp_path, "echo", requirements=wanted)
    found = Environments(root=tmp_path, state=tmp_path / "state").resolve("dev.local/echo:v1")
    assert found.folder == folder
    assert found.command == (str(Path(sys.executable).with_name("python")), "main.py")
    assert found.path.split(os.pathsep)[0] == str(Path(sys.executable).parent)


@pytest.mark.parametrize("line", ["no-such-package-at-all", "click>=9999", "click @ file:///x", "-r other.txt"])
def test_what_is_absent_out_of_range_or_unreadable_is_unmet(line):
    """Only what can be checked and holds counts as met."""
    assert list(unmet(["click", line])) == [line]


def test_a_program_that_is_nowhere_is_a_clear_error(tmp_path):
    """The message names the program, the Procfile and the build command."""
    folder = function(tmp_path, "echo", procfile="web: no-such-program")
    with pytest.raises(SetupError, match=r"no-such-program.*warmfront build echo") as caught:
        Environments(root=tmp_path, state=tmp_path / "state").resolve("echo")
    assert str(folder / "Procfile") in str(caught.value)


def test_extras_are_checked_as_well():
    """The dev extra of this very project needs more than its plain installation; a made-up extra needs nothing."""
    assert list(unmet(["warmfront[functions]", "warmfront[no-such-extra]"])) == []


def test_an_unbuilt_environment_names_the_command_to_run(tmp_path):
    """`up` installs nothing; it says what would."""
    function(tmp_path, "echo_fn", requirements="no-such-package-at-all>=3\n")
    with pytest.raises(SetupError, match="run `warmfront build echo_fn`") as caught:
        Environments(root=tmp_path, state=tmp_path / "state").resolve("dev.local/echo-fn:v1")
    assert "no-such-package-at-all>=3" in str(caught.value)


def wheelhouse(folder: Path) -> Path:
    """A package index of one package, made on the spot: building needs no network."""
    folder.mkdir()
    import zipfile

    info = "tinydep-1.5.dist-info"
    with zipfile.ZipFile(folder / "tinydep-1.5-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tinydep.py", "ANSWER = 42\n")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tinydep\nVersion: 1.5\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", f"tinydep.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return folder


def test_build_makes_one_environment_per_requirements_and_keeps_it(tmp_path, monkeypatch):
    """Built with pip and constraints, used by resolve, found again by a second build and by a folder of equal needs."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheelhouse(tmp_path / "wheels")))
    (tmp_path / "constraints.txt").write_text("tinydep==1.5\n")
    function(tmp_path, "echo", requirements="tinydep>=1\n")
    function(tmp_path, "twin", requirements="tinydep>=1\n")
    environments = Environments(root=tmp_path, state=tmp_path / "state")
    said: list[str] = []

    place = asyncio.run(environments.build("echo", said.append))

    assert place is not None
    assert place.parent == tmp_path / "state" / "environments"
    assert environments.resolve("dev.local/echo:v1").command[0] == str(place / "bin" / "python")
    assert list(place.glob("lib/*/site-packages/__pycache__/tinydep*.pyc"))
    assert any("tinydep-1.5" in line for line in said)
    assert asyncio.run(environments.build("twin", said.append)) == place
    assert "already built" in said[-1]


def test_a_replica_runs_elsewhere_than_the_state_folder_is_named_from(tmp_path, monkeypatch):
    """A state folder given as a relative path is found by a replica, whose working directory is its own folder."""
    function(tmp_path, "echo", requirements="tinydep\n")
    monkeypatch.chdir(tmp_path)
    environments = Environments(root=tmp_path, state=Path("state"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheelhouse(tmp_path / "wheels")))
    assert asyncio.run(environments.build("echo", lambda _: None))
    assert Path(environments.resolve("echo").command[0]).is_absolute()


def test_a_failed_build_tells_pips_last_words_and_leaves_nothing_usable(tmp_path, monkeypatch):
    """An environment without its `complete` mark is never used."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    function(tmp_path, "echo", requirements="no-such-package-at-all\n")
    environments = Environments(root=tmp_path, state=tmp_path / "state")
    with pytest.raises(SetupError, match="no-such-package-at-all"):
        asyncio.run(environments.build("echo", lambda _: None))
    with pytest.raises(SetupError, match="warmfront build echo"):
        environments.resolve("echo")


def test_nothing_is_built_where_nothing_is_missing(tmp_path):
    """Build says so and answers None."""
    function(tmp_path, "echo", requirements="click\n")
    said: list[str] = []
    assert asyncio.run(Environments(root=tmp_path, state=tmp_path / "s").build("echo", said.append)) is None
    assert "nothing to build" in said[0]


def test_pip_is_never_asked_for_this_project_itself():
    """Its name gives way to what it needs with the extras asked for, however those name each other."""
    plain, functions, demo = (
        installable(["warmfront"]),
        installable(["warmfront[functions]"]),
        installable(["Warmfront[demo]>=0"]),
    )
    for lines in (plain, functions, demo):
        assert not [line for line in lines if line.lower().startswith("warmfront")]
    names = [{line.partition(">")[0].partition("=")[0].strip() for line in lines} for lines in (plain, functions, demo)]
    assert {"httptools", "msgspec"} <= names[0]
    assert "functions-framework" in names[1] - names[0]
    assert {"functions-framework", "numpy"} <= names[2]
    assert installable(["click>=1", "-r x"]) == ["click>=1", "-r x"]
