// What a unit holds: c; in an sLSTM the mean c / n; in a cell that has no c, h.
export const heldOf = (values) => "normalizer" in values ? values.cell / values.normalizer : values.cell ?? values.hidden;

// The share of it that a unit keeps: the gate that keeps, under whatever name; NaN where there is none.
export function keptOf(now, before) {
  if ("normalizer" in now) return Math.exp(now.log_forget_gate) * before.normalizer / now.normalizer;
  return now.forget_gate ?? now.update_gate ?? NaN;
}
