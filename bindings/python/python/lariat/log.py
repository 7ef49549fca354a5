"""What nobody caught: told through the standard library's logging, by the logger "lariat"."""

import logging

logger = logging.getLogger("lariat")


def failure(message, failure):
    """Logs a Failure with its traceback."""
    value = failure.value
    if isinstance(value, BaseException):
        logger.critical("%s", message, exc_info=(type(value), value, failure.tb))
    else:
        logger.critical("%s: %s", message, failure.getTraceback())


def unhandled(exception, what):
    """Logs an exception that came out of a call of the reactor's."""
    logger.critical("Unhandled error in %s", what, exc_info=exception)
