// Copies the address of the page, without the tour that its reader may be on.
// Outside of a secure context the clipboard API is missing; then a hidden field does it.
export default function ({ data, parentElement }) {
  const button = parentElement.querySelector("button")
  if (!button) return

  const viaField = (text) => {
    const field = document.createElement("textarea")
    field.value = text
    field.style.cssText = "position:fixed;opacity:0"
    document.body.appendChild(field)
    field.select()
    const worked = document.execCommand("copy")
    field.remove()
    return worked
  }

  button.onclick = async () => {
    const here = new URL(window.location.href)
    if (here.searchParams.has("tour")) here.searchParams.delete("tour")
    let worked = false
    try {
      await navigator.clipboard.writeText(here.href)
      worked = true
    } catch {
      worked = viaField(here.href)
    }
    button.textContent = worked ? data.done : data.failed
    window.setTimeout(() => { button.textContent = data.label }, 2000)
  }
}
