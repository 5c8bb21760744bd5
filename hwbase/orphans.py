"""Worker processes that end with the process that started them, however it ended."""

import os
import threading
import time

#: Seconds between two looks at the parent.
_EVERY_S = 1.0


def end_with_parent(parent: int) -> None:
    """Watch, in a thread, for the end of the process `parent` that started this one, and end then.

    A parent that is killed cannot stop its workers; without this they would wait for tasks for ever.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_EVERY_S)
        os._exit(1)

    if os.getppid() == parent:
        threading.Thread(target=watch, name="parent", daemon=True).start()
