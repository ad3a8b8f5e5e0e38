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

// What is shown once is copied by one press, and says that it was.
for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    const told = button.parentElement.querySelector("[role=status]");
    try {
      await navigator.clipboard.writeText(source.textContent);
      told.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(source);
      told.textContent = "Selected: copy it with Ctrl+C or ⌘C";
    }
  });
}
