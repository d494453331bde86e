// Logs in and out, and takes the lease for the orders of this page.
"use strict";

const LEASE_KEY = "her2sr-lease";

async function takeLease() {
  const answer = await fetch("/api/v1/lease", { method: "POST" });
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.detail);
  sessionStorage.setItem(LEASE_KEY, String(said.fence));
}

async function order(path, options) {
  // An order without a lease that counts is refused and changes nothing: take one, and
  // send it once more. Where nobody logs in no lease is asked for.
  const send = () => {
    const fence = sessionStorage.getItem(LEASE_KEY);
    const headers = { ...options.headers, ...(fence && { lease: fence }) };
    return fetch(path, { ...options, headers });
  };
  const answer = await send();
  // On the login page itself the answer is shown: nothing was switched off.
  if (answer.status === 401 && location.pathname !== "/login") location.assign(loginPage());
  if (answer.status !== 423) return answer;
  sessionStorage.removeItem(LEASE_KEY);
  await takeLease();
  return send();
}

function loginPage() {
  return `/login?then=${encodeURIComponent(location.pathname)}`;
}

function destination() {
  // Only a path of this service: `//host` and `/\host` would lead elsewhere.
  const then = new URLSearchParams(location.search).get("then") ?? "/";
  return /^\/(?![/\\])/.test(then) ? then : "/";
}

async function logIn(form) {
  const answer = await fetch("/api/v1/session", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(Object.fromEntries(new FormData(form))),
  });
  if (answer.ok) location.assign(destination());
  else throw new Error((await answer.json()).detail);
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!("login" in form.dataset) && !("logout" in form.dataset)) return;
  event.preventDefault();
  try {
    if ("login" in form.dataset) await logIn(form);
    else {
      await fetch("/api/v1/session", { method: "DELETE" });
      sessionStorage.removeItem(LEASE_KEY);
      location.assign("/login");
    }
  } catch (error) {
    const message = form.querySelector(".message");
    message.textContent = error.message;
    message.hidden = false;
  }
});
