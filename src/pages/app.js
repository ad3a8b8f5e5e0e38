// What pages can do better with a script. Without it they do everything else.

// Dates in the reader's own zone and language.
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
for (const time of document.querySelectorAll("time[datetime]")) {
  const text = exact.format(new Date(time.dateTime));
  if ("relative" in time.dataset) time.title = text;
  else time.textContent = text;
}
