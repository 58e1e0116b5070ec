export const clamp = (x, low, high) => Math.max(low, Math.min(high, x));
