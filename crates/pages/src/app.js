// What pages can do better with a script. Without it they do everything else.

// Dates in the reader's own zone and language.
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
for (const time of document.querySelectorAll("time[datetime]")) {
  const at = new Date(time.dateTime);
  if (time.title) time.title = exact.format(at);
  else time.textContent = exact.format(at);
  if ("day" in time.dataset) time.textContent = day.format(at);
}

// Buttons that copy, and say so. What was copied need not be guarded any more.
let unsaved = document.querySelector("[data-unsaved]") !== null;
for (const button of document.querySelectorAll("button[data-copy]")) {
  const from = document.getElementById(button.dataset.copy);
  const status = button.nextElementSibling;
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(from.value ?? from.textContent);
      unsaved = false;
      status.textContent = "Copied";
    } catch {
      if (from.select) from.select();
      else getSelection().selectAllChildren(from);
      status.textContent = "Selected: copy it with Ctrl+C or ⌘C";
    }
  });
}
document.querySelector("[data-saved]")?.addEventListener("click", () => (unsaved = false));
addEventListener("beforeunload", (event) => {
  if (unsaved) event.preventDefault();
});

// Recipes tick what they need at once, and nothing that was typed is lost.
const recipes = document.querySelectorAll("a[data-scopes]");
for (const recipe of recipes) {
  recipe.addEventListener("click", (event) => {
    event.preventDefault();
    const wanted = recipe.dataset.scopes.split(" ");
    for (const box of document.querySelectorAll("input[name=scope]")) box.checked = wanted.includes(box.value);
    for (const full of document.querySelectorAll("input[name=full]")) full.checked = false;
    for (const other of recipes) other.removeAttribute("aria-current");
    recipe.setAttribute("aria-current", "true");
    document.querySelector("[data-recipe]").textContent = `Ticked: ${wanted.join(" ")}. ${recipe.title}`;
  });
}

// Whoever gives a date means it.
for (const field of document.querySelectorAll("[data-chooses]")) {
  field.addEventListener("input", () => {
    document.querySelector(`input[type=radio][value=${field.dataset.chooses}]`).checked = true;
  });
}
