"""The type hints say what is there: each name of a stub, with its parameters, and each public name in a stub."""

import ast
import importlib
import inspect
import pathlib
import unittest

import lariat
import lariat.defer

FOLDER = pathlib.Path(lariat.__file__).parent
#: What only stands in stubs, to give a name to a type.
ONLY_TYPES = {"lariat.internet": {"_Port", "_DatagramPort", "_Connector"}}
ONLY_TYPES["lariat.endpoints"] = {"_ClientEndpoint", "_ServerEndpoint"}
ONLY_TYPES["lariat.failure"] = {"_Writable"}


def stubs():
    for path in sorted(FOLDER.rglob("*.pyi")):
        name = ".".join(("lariat", *path.relative_to(FOLDER).with_suffix("").parts))
        yield name, ast.parse(path.read_text(encoding="utf-8"))


class Stubs(unittest.TestCase):
    def test_there_are_some(self):
        self.assertTrue((FOLDER / "py.typed").exists())
        self.assertGreater(len(list(stubs())), 8)

    def test_what_stubs_say_is_there(self):
        for name, tree in stubs():
            module = importlib.import_module(name)
            for node in tree.body:
                with self.subTest(module=name, name=getattr(node, "name", None)):
                    self.check(module, node, ONLY_TYPES.get(name, ()))

    def check(self, owner, node, only_types):
        if isinstance(node, ast.ClassDef) and node.name not in only_types:
            for part in node.body:
                self.check(getattr(owner, node.name), part, ())
        elif isinstance(node, ast.FunctionDef):
            self.check_function(owner, node)
        elif isinstance(node, ast.AnnAssign) and inspect.ismodule(owner):
            self.assertTrue(hasattr(owner, node.target.id))

    def check_function(self, owner, node):
        found = getattr(owner, node.name)
        decorators = {getattr(decorator, "id", "") for decorator in node.decorator_list}
        if "property" in decorators or node.name.startswith("__"):
            return
        try:
            parameters = inspect.signature(found).parameters
        except ValueError:
            return
        told = [argument.arg for argument in node.args.posonlyargs + node.args.args + node.args.kwonlyargs]
        told = [name for name in told if name not in ("self", "cls")]
        if "overload" in decorators:
            self.assertLessEqual({name for name in told}, set(parameters), node.name)
            return
        kinds = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
        names = [name for name, parameter in parameters.items() if name not in ("self", "cls") and parameter.kind not in kinds]
        if node.name not in ("__init__",):
            self.assertEqual([name.lstrip("_") for name in told], [name.lstrip("_") for name in names], node.name)

    def test_what_is_public_is_in_the_stubs(self):
        for name, tree in stubs():
            module = importlib.import_module(name)
            if name == "lariat._lariat":
                continue  # private: its stub is of what the others are made from
            told = {getattr(node, "name", None) or getattr(getattr(node, "target", None), "id", None) for node in tree.body}
            for node in tree.body:
                if isinstance(node, ast.ImportFrom):
                    told |= {alias.asname for alias in node.names}
            self.assertLessEqual(set(getattr(module, "__all__", ())), told, name)


if __name__ == "__main__":
    unittest.main()
