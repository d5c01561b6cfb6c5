// Copies the address of the page.  Outside of a secure context the clipboard API is missing; then a hidden field does it.
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
    let worked = false
    try {
      await navigator.clipboard.writeText(window.location.href)
      worked = true
    } catch {
      worked = viaField(window.location.href)
    }
    button.textContent = worked ? data.done : data.failed
    window.setTimeout(() => { button.textContent = data.label }, 2000)
  }
}
