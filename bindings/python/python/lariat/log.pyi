from logging import Logger

from lariat.failure import Failure

logger: Logger

def failure(message: str, failure: Failure) -> None: ...
def unhandled(exception: BaseException, what: str) -> None: ...
