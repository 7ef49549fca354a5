"""The exceptions of the reactor and of its connections, under Twisted's names."""


class AlreadyCalled(ValueError):
    """The delayed call has been made."""


class AlreadyCancelled(ValueError):
    """The delayed call has been cancelled."""


class ReactorAlreadyRunning(RuntimeError):
    """The reactor is running: it cannot be run inside of itself."""


class ReactorNotRunning(RuntimeError):
    """The reactor is not running: there is nothing to stop."""
