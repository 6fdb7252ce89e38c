// Excerpts in search results. Sphinx fetches the pages that it has found, which a browser refuses to a
// book that was opened from disk: there their texts come from a script, which search.py wrote.
if (location.protocol === "file:") {
  const here = document.currentScript.src;
  let loading;
  const texts = () => (loading ??= new Promise((done) => {
    window.pageTexts = done;
    document.head.append(Object.assign(document.createElement("script"), {
      src: new URL("page-texts.js", here),
    }));
  }));
  window.fetch = async (address) => {
    const page = new URL(address, location).pathname, all = await texts();
    const names = Object.keys(all).filter((each) => page.endsWith(`/${each}.html`));
    const name = names.sort((a, b) => b.length - a.length)[0]; // more/index before index
    const content = Object.assign(document.createElement("div"), { textContent: all[name] ?? "" });
    content.setAttribute("role", "main");
    return { text: async () => content.outerHTML };
  };
}
