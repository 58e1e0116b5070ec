// The page's address, and who leaves the page.

// Let the page's address say so, too: name -> value, or null, which takes the name out. Only here, where the sentence that the
// address tells is the one in the box.
export function tell(said) {
  const address = new URL(location.href), { searchParams } = address;
  const changes = Object.entries(said).filter(([name, value]) => searchParams.get(name) !== value);
  if (!changes.length) return;
  for (const [name, value] of changes) value === null ? searchParams.delete(name) : searchParams.set(name, value);
  history.replaceState(history.state, "", address);
}

// Whether a click is on a link of ours to another page. That to the first page has no address at all, which a browser takes for
// the one that is shown.
export function leadsAway({ target }) {
  const link = target.closest?.("[data-testid=stPageLink] a");
  return Boolean(link) && new URL(link.getAttribute("href") || "./", location.href).pathname !== location.pathname;
}
