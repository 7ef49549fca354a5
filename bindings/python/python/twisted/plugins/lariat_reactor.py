"""Has Twisted know of lariat's reactor: ``trial --reactor=lariat``, ``twist --reactor=lariat``."""

from twisted.application.reactors import Reactor

lariat = Reactor("lariat", "lariat.twisted", "The reactor of lariat, a library written in Rust")
