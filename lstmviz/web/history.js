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
