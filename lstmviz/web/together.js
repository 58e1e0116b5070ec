// Several models that answer in the page: see here.js. What the server says of them is a LiveComparison (lstmviz/wire.py).

import { compared, readOf, notesOn, sharedAxis } from "./comparing.js";
import { linked } from "./drawn.js";
import { Here } from "./here.js";
import { Reading } from "./reading.js";
import { heldModels } from "./shared.js";
import { decode } from "./wire.js";

export class Together extends Here {
  begin({ here, most }) { return here.models.map((digest) => new Reading(heldModels().get(digest), most)); }

  columns() {
    const { readings } = this, ids = readings.map((reading) => reading.ids), same = ids.every((each, k) => each === this.ids?.[k]);
    const axis = same ? this.axis : sharedAxis(readings); // of another text only
    return { ids, axis, tokens: axis.signs, count: readOf(axis, readings) };
  }

  draw() {
    const { map, frame, readings, axis, count, send } = this;
    if (!count) return map.show({ ...frame, notes: [...frame.notes, ["info", frame.sentences.nothing]] }, null, send);
    const [header, parts] = compared(frame, readings, map.selection.at, axis);
    map.show({ ...header, notes: [...frame.notes, ...notesOn(frame, readings)] }, parts, send);
  }

  linked(at, last) { return { ...linked(at, last), of: at.model ? this.frame.models[at.model].id : null }; }

  pairs(readings, bytes) {
    const { frame, map: { selection } } = this, [{ models }, parts] = compared(frame, readings, selection.at), there = messagesOf(frame, bytes);
    return parts.map((part, k) => [{ ...part, nll: models[k].loss }, { ...decode(there[k], new Map()), nll: frame.models[k].loss }]);
  }
}

// The messages of the models, each after its length.
export function messagesOf({ models }, bytes) {
  const sizes = new DataView(bytes.buffer, bytes.byteOffset);
  let at = 0;
  return models.map(() => {
    const begin = at + 4;
    return bytes.subarray(begin, (at = begin + sizes.getUint32(at, true)));
  });
}
