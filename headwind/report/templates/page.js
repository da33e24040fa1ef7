(() => {
  const told = document.querySelector(".told");
  const copy = async (text) => {
    if (navigator.clipboard) return navigator.clipboard.writeText(text);
    const field = document.createElement("textarea");
    field.value = text;
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    if (!done) throw new Error("copy refused");
  };
  for (const button of document.querySelectorAll(".copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const text = button.parentElement.querySelector("code").textContent;
      try {
        await copy(text);
        told.textContent = "Copied.";
      } catch {
        told.textContent = "The browser refused to copy; select the text instead.";
      }
      setTimeout(() => { told.textContent = ""; }, 6000);
    });
  }
  // Paper has no buttons: what is folded is opened for printing and folded again after. The pictures' numbers stay
  // folded, for the pictures show them.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")].filter((one) => !one.closest("figure"));
    for (const one of opened) one.open = true;
  });
  addEventListener("afterprint", () => { for (const one of opened) one.open = false; });
})();
