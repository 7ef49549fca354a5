"""Why there is no result: an exception with its traceback, as Twisted's Failure holds it."""

import io
import linecache
import sys
from functools import partial

__all__ = ["Failure", "NoCurrentExceptionError"]


class NoCurrentExceptionError(Exception):
    """No exception is being handled that a Failure could be made of."""


def _qualified(kind):
    return f"{kind.__module__}.{kind.__qualname__}" if isinstance(kind, type) else str(kind)


def _text(thing):
    try:
        return str(thing)
    except BaseException as error:
        return f"<{type(thing).__name__} instance at {id(thing):#x} with str error {error!r}>"


class Failure(BaseException):
    """An exception on its way along the errbacks of a Deferred.

    ``value`` is the exception, ``type`` its class, ``tb`` its traceback. Without an argument it is made of the exception
    that is being handled.
    """

    captureVars = False
    pickled = 0
    _frames = None
    _parents = None

    def __init__(self, exc_value=None, exc_type=None, exc_tb=None, captureVars=False):
        if exc_value is None:
            exc_type, exc_value, exc_tb = sys.exc_info()
            if exc_type is None:
                raise NoCurrentExceptionError()
        if isinstance(exc_value, Failure):
            self.__dict__ = dict(exc_value.__dict__)
            return
        self.value = exc_value
        self.type = type(exc_value) if exc_type is None else exc_type
        self.tb = getattr(exc_value, "__traceback__", None) if exc_tb is None else exc_tb
        if captureVars:
            self.captureVars = True

    @property
    def frames(self):
        """What the traceback says, a tuple (function, file, line, locals, globals) for each frame, outermost first."""
        if self._frames is None:
            self._frames = []
            at = self.tb
            while at is not None:
                frame, code = at.tb_frame, at.tb_frame.f_code
                local, outer = (), ()
                if self.captureVars:
                    local = [item for item in frame.f_locals.items() if item[0] != "__builtins__"]
                    outer = [item for item in frame.f_globals.items() if item[0] != "__builtins__"]
                self._frames.append((code.co_name, code.co_filename, at.tb_lineno, local, outer))
                at = at.tb_next
        return self._frames

    @property
    def parents(self):
        """The full names of the exception's class and of those that it is made from."""
        if self._parents is None:
            kinds = self.type.__mro__ if isinstance(self.type, type) else [self.type]
            self._parents = [_qualified(kind) for kind in kinds]
        return self._parents

    def check(self, *errorTypes):
        """The first of these classes, or full names of classes, that the exception is one of; else None."""
        for kind in errorTypes:
            if isinstance(kind, type) and isinstance(self.type, type):
                if issubclass(self.type, kind):
                    return kind
            elif (_qualified(kind) if isinstance(kind, type) else kind) in self.parents:
                return kind
        return None

    def trap(self, *errorTypes):
        """The same, but an exception that is none of them is raised again."""
        found = self.check(*errorTypes)
        if not found:
            self.raiseException()
        return found

    def raiseException(self):
        """Raises the exception, with its traceback."""
        raise self.value.with_traceback(self.tb)

    def throwExceptionIntoGenerator(self, g):
        """Raises the exception inside of a generator, and gives what that yields next."""
        return g.throw(self.value.with_traceback(self.tb))

    def cleanFailure(self):
        """Lets go of frames and their variables; what they say in words is kept."""
        self.__dict__ = self.__getstate__()
        if getattr(self.value, "__traceback__", None) is not None:
            self.value.__traceback__ = None

    def __getstate__(self):
        frames = [(*frame[:3], *([(name, repr(item)) for name, item in part] for part in frame[3:])) for frame in self.frames]
        return {**self.__dict__, "_parents": self.parents, "_frames": frames, "tb": None, "pickled": 1}

    def __setstate__(self, state):
        self.__dict__.update(state)

    def __reduce__(self):
        return partial(Failure.__new__, Failure), (), self.__getstate__()

    def getTracebackObject(self):
        """The traceback, for the standard library's traceback module; None if it is gone."""
        return self.tb

    def getErrorMessage(self):
        """The exception in words."""
        return self.value.getErrorMessage() if isinstance(self.value, Failure) else _text(self.value)

    def getTraceback(self, elideFrameworkCode=0, detail="default"):
        """The traceback in words, with as much detail as ``printTraceback`` would print."""
        text = io.StringIO()
        self.printTraceback(text, elideFrameworkCode, detail)
        return text.getvalue()

    def getBriefTraceback(self):
        """The traceback in as few words as possible."""
        return self.getTraceback(detail="brief")

    def printTraceback(self, file=None, elideFrameworkCode=False, detail="default"):
        """Writes the traceback to a file, by default the standard error; detail is "brief", "default" or "verbose"."""
        write = (sys.stderr if file is None else file).write
        if detail == "brief":
            head = "Traceback" if self.frames else "Traceback (failure with no frames)"
            write(f"{head}: {_text(self.type)}: {_text(self.value)}\n")
        else:
            write("Traceback (most recent call last):\n")
            if not self.frames:
                write("Failure: ")
        for name, path, line, local, outer in self.frames:
            if detail == "brief":
                write(f"{path}:{line}:{name}\n")
                continue
            write(f'  File "{path}", line {line}, in {name}\n    {linecache.getline(path, line).strip()}\n')
            if detail == "verbose":
                for title, part in ("Locals", local), ("Globals", outer):
                    write(f" [ {title} ]\n")
                    for key, item in part:
                        write(f"  {key} : {item!r}\n")
        if detail != "brief":
            write(f"{_qualified(self.type)}: {_text(self.value)}\n")

    def printBriefTraceback(self, file=None, elideFrameworkCode=0):
        """Writes it in as few words as possible."""
        self.printTraceback(file, detail="brief")

    def printDetailedTraceback(self, file=None, elideFrameworkCode=0):
        """Writes it with the variables, if they were kept."""
        self.printTraceback(file, detail="verbose")

    def __repr__(self):
        return f"<{_qualified(type(self))} {_qualified(self.type)}: {self.getErrorMessage()}>"

    def __str__(self):
        return f"[Failure instance: {self.getBriefTraceback()}]"
