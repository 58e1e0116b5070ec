import { widths } from "./paint/tokens.js";

// Lay a map out again when its room, the fonts or the screen's pixels change, until what is returned is called: whoever
// listens to the page keeps the map, and all that it holds, alive.
export function follow(map) {
  const over = new AbortController(), { signal } = over;
  const again = () => {
    map.width = map.scroll.clientWidth;
    if (map.view && map.width) map.arrange();
  };
  const watchPixels = () => {
    const now = matchMedia(`(resolution: ${window.devicePixelRatio}dppx)`);
    now.addEventListener("change", () => { again(); watchPixels(); }, { once: true, signal });
  };
  watchPixels();
  document.fonts.addEventListener("loadingdone", () => { // until then a label was as wide as in another font
    widths.clear();
    again();
  }, { signal });
  const room = new ResizeObserver(() => { if (map.scroll.clientWidth !== map.width) again(); });
  room.observe(map.scroll);
  window.addEventListener("resize", again, { signal }); // its height decides how high the panels are
  return () => {
    over.abort();
    room.disconnect();
    for (const timer of [map.selection.timer, map.reporting, map.speech]) clearTimeout(timer);
  };
}
