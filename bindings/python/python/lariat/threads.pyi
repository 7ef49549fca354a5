from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, TypeVar, overload

from lariat.defer import Deferred

_T = TypeVar("_T")
_P = ParamSpec("_P")

def deferToThreadPool(
    reactor: Any, threadpool: Any, f: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs
) -> Deferred[_T]: ...
def deferToThread(f: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> Deferred[_T]: ...
def callMultipleInThread(
    tupleList: Iterable[tuple[Callable[..., object], tuple[object, ...], dict[str, object]]],
) -> None: ...
@overload
def blockingCallFromThread(reactor: Any, f: Callable[_P, Deferred[_T]], *a: _P.args, **kw: _P.kwargs) -> _T: ...
@overload
def blockingCallFromThread(reactor: Any, f: Callable[_P, _T], *a: _P.args, **kw: _P.kwargs) -> _T: ...
