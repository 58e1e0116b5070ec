// BEWARE: this replaces `history.pushState` FOR THE WHOLE APP, as soon as a page has a map or a comparison, and for good.
//
// Streamlit makes an entry in the browser's history of every change of the view that the address tells, and of an empty
// address on the way to another page. Here a view takes the place of the one before: Back leaves the page, as it was left.
if (!Object.hasOwn(history, "pushState")) {
  history.pushState = (state, title, url) => {
    const { pathname, search } = new URL(url ?? "", location.href);
    if (pathname !== location.pathname) History.prototype.pushState.call(history, state, title, url);
    else if (search) history.replaceState(state, title, url);
  };
}

// Let the page's address say so, too: name -> value, or null, which takes the name out. Only here, where the sentence that the
// address tells is the one in the box.
export function tell(said) {
  const address = new URL(location.href), { searchParams } = address;
  const changes = Object.entries(said).filter(([name, value]) => searchParams.get(name) !== value);
  if (!changes.length) return;
  for (const [name, value] of changes) value === null ? searchParams.delete(name) : searchParams.set(name, value);
  history.replaceState(history.state, "", address);
}
