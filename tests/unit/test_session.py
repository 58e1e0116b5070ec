"""What is remembered of a visit has one list, in one file; what is sent to it stays sent."""

import re
from pathlib import Path

from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue

from lstmviz.ui.server import take_nothing_back

ROOT = Path(__file__).parents[2]
PLACES = [ROOT / "app.py", *sorted((ROOT / "lstmviz").rglob("*.py"))]


def test_only_the_session_says_session_state_and_query_params() -> None:
    said = re.compile(r"session_state|st\.query_params")
    files = {str(path.relative_to(ROOT)) for path in PLACES if said.search(path.read_text(encoding="utf-8"))}
    assert files == {"lstmviz/ui/session.py"}


def test_a_run_of_a_fragment_takes_back_nothing_of_the_whole_run_before(monkeypatch):
    """On a busy machine its elements are still to be sent; the browser removes what did not come before its end."""
    monkeypatch.setattr(ForwardMsgQueue, "clear", ForwardMsgQueue.clear)  # until the test ends
    take_nothing_back()
    queue = ForwardMsgQueue()

    def element(run: str) -> None:
        message = ForwardMsg()
        message.metadata.delta_path.extend([0, 3])
        message.delta.fragment_id = "map"
        message.delta.new_element.text.body = run
        queue.enqueue(message)

    element("whole")
    queue.enqueue(ForwardMsg(script_finished=ForwardMsg.FINISHED_SUCCESSFULLY))
    queue.clear(retain_lifecycle_msgs=True, fragment_ids_this_run=["map"])
    element("fragment")
    whole, end, fragment = queue.flush()
    assert whole.delta.new_element.text.body == "whole" and fragment.delta.new_element.text.body == "fragment"
    assert end.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY

    element("whole")
    queue.clear(retain_lifecycle_msgs=True)  # a whole run sends everything anew
    assert not queue.flush()
