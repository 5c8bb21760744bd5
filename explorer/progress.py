"""What long work calls to say how far it is; commands draw it as a bar or print it (`explorer.commands.progress`)."""

from collections.abc import Callable

#: Called with (stage, done, total).
Report = Callable[[str, int, int], None]
