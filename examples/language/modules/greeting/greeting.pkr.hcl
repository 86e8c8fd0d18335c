# A module: an input, an output, and steps that builds share.

variable "name" {
  type = string
  validation {
    condition     = length(var.name) > 0
    error_message = "The name must not be empty."
  }
}

locals { text = "Baked by ${var.name}" }

output "text" { value = local.text }

steps "say" {
  provisioner "shell" {
    inline = ["echo '${local.text}' >/greeting"]
  }
}
