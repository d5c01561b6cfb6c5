// Scrolls to a part of the page as soon as it is there; once.
export default function ({ data }) {
  let tries = 40
  const look = () => {
    const found = document.querySelector(data.to)
    if (found) found.scrollIntoView({ block: "start" })
    else if (tries-- > 0) window.setTimeout(look, 100)
  }
  window.setTimeout(look, 150)
}
