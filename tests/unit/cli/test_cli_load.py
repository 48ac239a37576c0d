"""Naming and loading the application: every form, and one clear line for every way it fails."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pagi.cli.errors import LoadError, UsageError, location, one_line
from pagi.cli.target import Loader, Target
from tests.unit.cli.conftest import Command, Served

APP = "async def app(scope, receive, send): pass\n"


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("main", Target("main", "", False)),
        ("main:app", Target("main", "app", False)),
        ("a.b.c:d.e", Target("a.b.c", "d.e", False)),
        ("main.py", Target("main.py", "", True)),
        ("main.py:app", Target("main.py", "app", True)),
        ("./src/main.py:x.y", Target("./src/main.py", "x.y", True)),
        ("src/main", Target("src/main", "", True)),
        ("/a:b/main.py:app", Target("/a:b/main.py", "app", True)),
    ],
)
def test_target_forms(text: str, target: Target) -> None:
    assert Target.parse(text) == target
    assert str(target) == text


@pytest.mark.parametrize("text", ["main:", ":app", "main:a-b", "main:app()"])
def test_target_without_a_name(text: str) -> None:
    with pytest.raises(UsageError, match="does not name an application; write module:attribute"):
        Target.parse(text)


def test_target_that_is_no_module_name(place: Path) -> None:
    with pytest.raises(UsageError, match="'my-app' is no module name; write it with dots"):
        Target.parse("my-app")
    Path("my-app").write_text(APP)
    assert Target.parse("my-app").is_file


# --- what is served --------------------------------------------------------------------------


@pytest.fixture
def project(place: Path) -> Path:
    """A directory with applications of many forms."""
    Path("main.py").write_text(
        APP
        + "application = app\n"
        + "def create_app(greeting='hello'):\n"
        + "    async def made(scope, receive, send): pass\n"
        + "    made.greeting = greeting\n"
        + "    return made\n"
        + "class Holder: pass\n"
        + "holder = Holder()\n"
        + "holder.inner = app\n"
        + "class Convertible:\n"
        + "    def __init__(self, greeting='hi'): self.greeting = greeting\n"
        + "    def to_app(self):\n"
        + "        made = create_app(self.greeting)\n"
        + "        return made\n"
        + "convertible = Convertible()\n"
        + "class Instance:\n"
        + "    async def __call__(self, scope, receive, send): pass\n"
        + "instance = Instance()\n"
    )
    Path("only_application.py").write_text(APP.replace("app", "application"))
    Path("factory_only.py").write_text("def create_app():\n    " + APP + "    return app\n")
    Path("pack").mkdir()
    Path("pack/__init__.py").write_text("")
    Path("pack/inner.py").write_text("from . import sibling\nfrom .sibling import app\n")
    Path("pack/sibling.py").write_text(APP)
    Path("apart").mkdir()
    Path("apart/alone.py").write_text("import neighbour\nfrom neighbour import app\n")
    Path("apart/neighbour.py").write_text(APP)
    Path("apart/json.py").write_text("home = __file__\n" + APP)
    Path("apart/with-dash.py").write_text(APP)
    return place


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["main:app"], "app"),
        (["main"], "app"),
        (["only_application"], "application"),
        (["main:holder.inner"], "app"),
        (["main:create_app", "--factory"], "made"),
        (["main:create_app", "greeting=ho", "--factory"], "made"),
        (["factory_only", "--factory"], "app"),
        (["main:convertible"], "made"),
        (["main:Convertible", "greeting=ho"], "made"),
        (["main.py"], "app"),
        (["./main.py:holder.inner"], "app"),
        (["pack.inner:app"], "app"),
        (["pack/inner.py"], "app"),
        (["apart/alone.py"], "app"),
        (["apart/with-dash.py"], "app"),
        (["--app-dir", "apart", "alone:app"], "app"),
        (["-I", "apart", "alone"], "app"),
        (["-Iapart", "--lib", "pack", "sibling"], "app"),
        (["-e", "async def mine(s, r, q): pass\nmine"], "mine"),
        (["-e", "async def app(s, r, q): pass"], "app"),
        (["-e", "async def app(s, r, q): pass", "-e", "print()"], "app"),
        (["-e", "application = lambda s, r, q: None"], "<lambda>"),
        (["-Mmain", "-e", "main.create_app('x')"], "made"),
        (["-M", "main=app,create_app", "-e", "create_app()"], "made"),
        (["-Mpack.sibling", "-e", "pack.sibling.app"], "app"),
        (
            [
                "-e",
                "def make(**k):\n async def app(s,r,q): pass\n return app\nmake",
                "--factory",
                "a=b",
            ],
            "app",
        ),
    ],
)
def test_forms_of_applications(
    words: list[str], name: str, project: Path, pagi: Command, served: list[Served]
) -> None:
    result = pagi("run", *words)
    assert (result.status, result.err) == (0, "")
    assert getattr(served[0].app, "__name__", "") == name
    if "greeting=ho" in words:
        assert vars(served[0].app)["greeting"] == "ho"


def test_an_instance_with_call(project: Path, pagi: Command, served: list[Served]) -> None:
    assert pagi("run", "main:instance").status == 0
    assert type(served[0].app).__name__ == "Instance"


def test_a_file_does_not_replace_a_loaded_module(
    project: Path, pagi: Command, served: list[Served]
) -> None:
    import json

    assert pagi("run", "apart/json.py").status == 0
    assert sys.modules["json"] is json
    assert served[0].app.__module__ == "pagi_application"


def test_the_environment_is_known_while_loading(
    place: Path, pagi: Command, served: list[Served]
) -> None:
    Path("main.py").write_text(
        "import os\nseen = os.environ['PAGI_ENV']\n" + APP + "app.seen = seen"
    )
    assert pagi("run", "main", "-E", "none").status == 0
    assert vars(served[0].app)["seen"] == "none"


# --- what is refused -------------------------------------------------------------------------

MODULES = {
    "good.py": "import functools\nother = 3\n" + APP + "def create_app(): return app\n",
    "neither.py": "value = 3\nasync def serve_me(scope, receive, send): pass\n",
    "empty.py": "",
    "missing.py": "import os\n\nimport nosuchpackage.part\n",
    "relative.py": "from . import x\n",
    "name.py": "from os import nosuchname\n",
    "inner.py": "import broken_inside\n",
    "broken_inside.py": "def f():\n    raise ValueError('two\\nlines')\nf()\n",
    "syntax.py": "x = 1\ndef f(:\n",
    "indent.py": "def f():\nreturn 1\n",
    "imports_syntax.py": "import syntax\n",
    "leaving.py": "import sys\nsys.exit(3)\n",
    "shapes.py": (
        "class Two:\n"
        "    def __init__(self, scope): pass\n"
        "    async def __call__(self, receive, send): pass\n"
        "def two(scope): return None\n"
        "def wsgi(environ, start_response): return []\n"
        "def factory(): return None\n"
        "async def slow_factory(): return None\n"
        "def failing(): raise RuntimeError('no database')\n"
        "def four(a, b, c, d): pass\n"
        "class Plain:\n"
        "    async def __call__(self, scope, receive, send): pass\n"
        "class Broken:\n"
        "    def to_app(self): raise KeyError('x')\n"
        "broken = Broken()\n"
        "class Numbers:\n"
        "    def to_app(self): return 3\n"
        "numbers = Numbers()\n"
        "number = 3\n"
        "nothing = None\n"
    ),
}

REFUSED = [
    (["god:app"], 4, "there is no module 'god' (looked in {0} and the Python path); "
                     "did you mean 'good'?"),
    (["zzz:app"], 4, "there is no module 'zzz' (looked in {0} and the Python path); "
                     "run from its directory, or use --app-dir"),
    (["pkg.god:app"], 4, "the package 'pkg' has no module 'god'; did you mean pkg.good?"),
    (["pkg.zzz:app"], 4, "the package 'pkg' has no module 'zzz'; check the spelling"),
    (["good.app"], 4, "the module 'good' is no package, so it has no 'app'; "
                      "write good:app for an attribute"),
    (["god.py"], 4, "there is no file god.py; did you mean good.py?"),
    (["pkg/god.py"], 4, "there is no file pkg/god.py; did you mean pkg/good.py?"),
    (["zzz.py"], 4, "there is no file zzz.py; check the path"),
    (["nodir/app.py"], 4, "there is no file nodir/app.py: no directory nodir; check the path"),
    (["pkg/good:app"], 4, "there is no file pkg/good; did you mean pkg/good.py, "
                          "or the module pkg.good?"),
    (["./pkg"], 4, "./pkg is a directory; name the file in it, such as ./pkg/app.py"),
    (["--app-dir", "zzz", "good"], 4, "'zzz' is not a directory; check --app-dir and --lib"),
    (["good:ap"], 4, "good has no 'ap'; did you mean 'app'?"),
    (["good:zzz"], 4, "good has no 'zzz'; what could be meant: app, create_app"),
    (["good:app.zzz"], 4, "good:app has no 'zzz'; nothing in it looks like an application"),
    (["good:other.zzz"], 4, "good:other has no 'zzz'; nothing in it looks like an application"),
    (["neither"], 4, "neither has neither app nor application; what could be meant: serve_me"),
    (["empty"], 4, "empty has neither app nor application; nothing in it looks like an "
                   "application"),
    (["factory_only"], 4, "factory_only has no app, but a factory create_app; "
                          "write factory_only:create_app --factory"),
    (["missing"], 4, "importing missing failed: ModuleNotFoundError: No module named "
                     "'nosuchpackage' (at {0}/missing.py:3); install what provides "
                     "'nosuchpackage', or check the import"),
    (["relative"], 4, "importing relative failed: ImportError: attempted relative import with no "
                      "known parent package (at {0}/relative.py:1)"),
    (["inner"], 4, "importing inner failed: ValueError: two lines (at {0}/broken_inside.py:2)"),
    (["inner.py"], 4, "importing inner.py failed: ValueError: two lines "
                      "(at {0}/broken_inside.py:2)"),
    (["syntax"], 4, "{0}/syntax.py:2: SyntaxError: invalid syntax: def f(:"),
    (["imports_syntax"], 4, "{0}/syntax.py:2: SyntaxError: invalid syntax: def f(:"),
    (["leaving"], 4, "importing leaving ended the process (at {0}/leaving.py:2: exit 3); "
                     'put that under if __name__ == "__main__":'),
    (["shapes:Two"], 4, "shapes:Two is an ASGI 2 application (called twice, with the scope "
                        "first); write it for ASGI 3, or wrap it with "
                        "asgiref.compatibility.guarantee_single_callable"),
    (["shapes:two"], 4, "shapes:two is an ASGI 2 application"),
    (["shapes:wsgi"], 4, "shapes:wsgi takes two arguments, as WSGI applications do;"),
    (["shapes:factory"], 4, "shapes:factory takes no arguments, so it seems to be a factory; "
                            "add --factory"),
    (["shapes:factory", "--factory"], 4, "shapes:factory is not an application: None cannot be "
                                         "called; an application is async def "
                                         "app(scope, receive, send)"),
    (["shapes:slow_factory", "--factory"], 4, "the factory shapes:slow_factory is a coroutine "
                                              "function; make it a plain one"),
    (["shapes:failing", "--factory"], 4, "the factory shapes:failing failed: RuntimeError: "
                                         "no database (at {0}/shapes.py:8)"),
    (["shapes:number", "--factory"], 4, "shapes:number is no factory: it cannot be called; "
                                        "leave --factory away"),
    (["shapes:failing", "a=b", "--factory"], 4, "the factory shapes:failing failed: TypeError: "
                                                "failing() got an unexpected keyword argument 'a'"),
    (["shapes:four"], 4, "shapes:four cannot be called with (scope, receive, send);"),
    (["shapes:Plain"], 4, "shapes:Plain is a class, not an application; make an instance of it "
                          "(app = Plain(…)) and name that, or add --factory"),
    (["shapes:broken"], 4, "shapes:broken.to_app() failed: KeyError: 'x' (at {0}/shapes.py:13)"),
    (["shapes:numbers"], 4, "shapes:numbers.to_app() is not an application: an object of type int "
                            "cannot be called;"),
    (["shapes:number"], 4, "shapes:number is not an application: an object of type int"),
    (["shapes:nothing"], 4, "shapes:nothing is not an application: None cannot be called"),
    (["good:app", "a=b"], 2, "a=… is an argument for a factory, but good:app is served as it is; "
                             "add --factory, or leave the argument away"),
    (["good:app", "more"], 2, "'more' is one word too many after 'good:app'; "
                              "arguments for a factory are written key=value"),
    (["good:app", "-e", "x"], 2, "-e and 'good:app' both name an application; leave one away"),
    (["good:app", "-Mjson"], 2, "-M imports for the code of -e, and there is none; "
                                "add -e or leave it away"),
    (["-e", "1/0"], 4, "the code of -e failed: ZeroDivisionError: division by zero (at line 1)"),
    (["-e", "x = 1\nraise SystemExit"], 4, "the code of -e failed: SystemExit (at line 2)"),
    (["-e", "def f(:"], 4, "-e:1: SyntaxError: invalid syntax: def f(:"),
    (["-e", "x = '\0'"], 4, "-e: SyntaxError: source code string cannot contain null bytes"),
    (["-e", "x = 1"], 4, "the code of -e leaves no application; end it with the application, "
                         "or give it the name app"),
    (["-e", ""], 2, "nothing to serve;"),
    (["-e", "3"], 4, "-e is not an application: an object of type int cannot be called"),
    (["-M", "zzz", "-e", "3"], 4, "there is no module 'zzz'"),
    (["-M", "json=zzz", "-e", "3"], 4, "json has no 'zzz', which -M json=zzz asks for"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "status", "text"), REFUSED)
def test_one_clear_line(
    words: list[str], status: int, text: str, place: Path, pagi: Command, served: list[Served]
) -> None:
    for name, source in MODULES.items():
        Path(name).write_text(source)
    Path("factory_only.py").write_text("def create_app(): pass\n")
    Path("pkg").mkdir()
    Path("pkg/__init__.py").write_text("")
    Path("pkg/good.py").write_text(APP)
    result = pagi("run", *words)
    expected = text.format(place) if "{0}" in text else text
    assert result.complaint.startswith(expected)
    assert result.status == status
    assert served == []


def test_a_name_that_cannot_be_imported(place: Path, pagi: Command) -> None:
    Path("name.py").write_text(MODULES["name.py"])
    complaint = pagi("check", "name").complaint
    assert complaint.startswith(
        "importing name failed: ImportError: cannot import name 'nosuchname'"
    )
    assert complaint.endswith(f"(at {place}/name.py:1)")


def test_a_file_that_may_not_be_read(
    place: Path, pagi: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("good.py").write_text(APP)
    monkeypatch.setattr("os.access", lambda *_: False)  # root may read everything
    result = pagi("check", "good.py:app")
    assert result.complaint == ("this user may not read good.py; change its mode, or who runs pagi")
    assert result.status == 4


def test_wrong_indentation(place: Path, pagi: Command) -> None:
    Path("indent.py").write_text(MODULES["indent.py"])
    complaint = pagi("check", "indent").complaint
    assert complaint.startswith(
        f"{place}/indent.py:2: IndentationError: expected an indented block"
    )


@pytest.mark.parametrize("command", ["run", "check"])
def test_traceback_shows_the_frames_of_the_application(
    command: str, place: Path, pagi: Command, served: list[Served]
) -> None:
    Path("inner.py").write_text(MODULES["inner.py"])
    Path("broken_inside.py").write_text(MODULES["broken_inside.py"])
    result = pagi(command, "inner", "--traceback")
    lines = result.err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1] == f'  File "{place}/inner.py", line 1, in <module>'
    assert lines[-1].startswith("pagi: importing inner failed: ValueError: two lines")
    assert result.status == 4


def test_traceback_without_a_cause_adds_nothing(
    place: Path, pagi: Command, served: list[Served]
) -> None:
    assert pagi("run", "zzz", "--traceback").complaint.startswith("there is no module 'zzz'")


def test_a_compiled_callable_is_given_the_benefit(place: Path) -> None:
    loaded: object = Loader(code="max")()
    assert loaded is max


def test_a_directory_that_cannot_be_listed_holds_no_hint(place: Path, pagi: Command) -> None:
    Path("pkg").mkdir()
    Path("pkg/__init__.py").write_text(
        "__path__.append('/nonexistent')\n__path__.append('zz.zip')\n"
    )
    assert pagi("check", "pkg.x", "-p0").err.startswith("pagi: the package 'pkg' has no module 'x'")


def test_words_about_errors() -> None:
    assert one_line(ValueError("a\n  b")) == "ValueError: a b"
    assert one_line(KeyboardInterrupt()) == "KeyboardInterrupt"
    assert location(ValueError()) == ""
    assert LoadError("x").exit_status == 4
