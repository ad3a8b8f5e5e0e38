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
