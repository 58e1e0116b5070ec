// What the scripts of a page to keep need of a browser, in a script that every browser understands: where something is not
// there, the page says so in the place of its map.
(function () {
  var needs = {
    "classes of characters in regular expressions (the flag v)": function () { return new RegExp("[\\p{L}--[a-z]]", "v"); },
    "canvases that are not on the page": function () { return new OffscreenCanvas(1, 1).getContext("2d"); },
    "mixed colours in style sheets": function () { return CSS.supports("color", "color-mix(in srgb, red 50%, blue)"); },
    "texts that can be made well-formed": function () { return "a".toWellFormed(); }
  };
  for (var what in needs) {
    var has = false;
    try { has = needs[what](); } catch (_) { /* it has not */ }
    if (has) continue;
    document.documentElement.setAttribute("data-lacks", what);
    document.querySelector("main").textContent = "This browser lacks something that the page needs: " + what +
      ". Chrome and Edge have it from version 112 on, Firefox from 119 and Safari from 17.";
    break;
  }
})();
