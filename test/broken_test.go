package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// broken are templates and command lines with a mistake, each with what must be
// said of it. The template is written to t.json or t.pkr.hcl by how it begins.
var broken = []struct {
	name     string
	template string
	args     string // default: validate TEMPLATE
	want     []string
}{
	// Legacy JSON.
	{"json syntax", "{\n  \"builders\": [\n    {\"type\": \"null\",}\n  ]\n}", "",
		[]string{"Failed to parse file as legacy JSON template", "t.json line 3", "invalid character '}'"}},
	{"json empty", " ", "validate t.json", []string{"Failed to parse file as legacy JSON",
		"unexpected end of JSON input"}},
	{"json array", "[1]", "validate t.json", []string{"it is one object"}},
	{"json no builders", `{"variables":{}}`, "", []string{"at least one builder must be defined"}},
	{"json unknown root", `{"builder":[],"builders":[{"type":"null","communicator":"none"}]}`, "",
		[]string{"Unknown root level key in template: 'builder'", "Did you mean 'builders'?", "line 1"}},
	{"json duplicate key", `{"builders":[{"type":"null","communicator":"none","communicator":"ssh"}]}`, "",
		[]string{"template has duplicate field: communicator"}},
	{"json comment value", `{"_c":5,"builders":[{"type":"null","communicator":"none"}]}`, "",
		[]string{`Failed to cast root level comment value in comment "_c" to string.`}},
	{"json builder without type", `{"builders":[{"communicator":"none"}]}`, "",
		[]string{"builder 1: missing 'type'"}},
	{"json duplicate builder",
		`{"builders":[{"type":"null","communicator":"none"},{"type":"null","communicator":"none"}]}`, "",
		[]string{"builder 2: builder with name 'null' already exists"}},
	{"json unknown builder", `{"builders":[{"type":"nul","communicator":"none"}]}`, "",
		[]string{"The builder nul is unknown.", `Did you mean to use "null"?`}},
	{"json plugin builder", `{"builders":[{"type":"amazon-ebs"}]}`, "",
		[]string{"The builder amazon-ebs is known, but not part of this version: it comes with a plugin"}},
	{"json foreign builder", `{"builders":[{"type":"zork"}]}`, "",
		[]string{"The builder zork is unknown by Packer, and is likely part of a plugin that is not installed."}},
	{"json unknown option", `{"builders":[{"type":"null","comunicator":"none"}]}`, "",
		[]string{`unknown configuration key: '"comunicator"'`, `Did you mean "communicator"?`, "line 1"}},
	{"json wrong type", `{"builders":[{"type":"null","communicator":"none","ssh_port":"many"}]}`, "",
		[]string{`"ssh_port"`, "a number is required"}},
	{"json variable type", `{"variables":{"n":5},"builders":[{"type":"null","communicator":"none"}]}`, "",
		[]string{"variable n: '' expected type 'string', got unconvertible type 'float64'"}},
	{"json required variables",
		"{\"variables\":{\"a\":null,\n\"b\":null},\"builders\":[{\"type\":\"null\",\"communicator\":\"none\"}]}",
		"", []string{"required variable not set: a", "required variable not set: b", "line 2"}},
	{"json variable cycle", "{\"variables\":{\"a\":\"{{user `b`}}\",\"b\":\"{{user " +
		"`a`}}\"},\"builders\":[{\"type\":\"null\",\"communicator\":\"none\"}]}", "",
		[]string{`Failed to interpolate "a"`, "variable not set: b"}},
	{"json env outside variables", "{\"builders\":[{\"type\":\"file\",\"target\":\"{{env `HOME`}}\"}]}", "",
		[]string{"render 'target'", "env vars are not allowed here"}},
	{"json unknown function", "{\"builders\":[{\"type\":\"file\",\"target\":\"{{nope}}\"}]}", "",
		[]string{`function "nope" not defined`}},
	{"json unknown build key",
		"{\"builders\":[{\"type\":\"null\",\"communicator\":\"none\"}],\"provisioners\":[{\"type\":\"shell-local\",\"inline\":[\"{{build `Nope`}}\"]}]}", "", []string{"loaded data, but couldnt find Nope in it"}},
	{"json provisioner without type",
		`{"builders":[{"type":"null","communicator":"none"}],"provisioners":[{"inline":["x"]}]}`, "",
		[]string{"provisioner 1: Provisioner missing 'type'"}},
	{"json unknown provisioner",
		`{"builders":[{"type":"null","communicator":"none"}],"provisioners":[{"type":"shel","inline":["x"]}]}`, "",
		[]string{"The provisioner shel is unknown", `"shell"`}},
	{"json only unknown", `{"builders":[{"type":"null","name":"web","communicator":"none"}],"provisioners":[{"type":"shell-local","only":["wed"],"inline":["x"]}]}`, "", []string{"'only' specified builder 'wed' not found", "Did you mean 'web'?"}},
	{"json only and except", `{"builders":[{"type":"null","communicator":"none"}],"provisioners":[{"type":"shell-local","only":["null"],"except":["null"],"inline":["x"]}]}`, "", []string{"only one of 'only' or 'except' may be specified"}},
	{"json override unknown", `{"builders":[{"type":"null","communicator":"none"}],"provisioners":[{"type":"shell-local","override":{"x":{}},"inline":["x"]}]}`, "", []string{"override 'x' doesn't exist"}},
	{"json bad timeout", `{"builders":[{"type":"null","communicator":"none"}],"provisioners":[{"type":"shell-local","timeout":"soon","inline":["x"]}]}`, "", []string{"error decoding 'timeout'", "invalid duration"}},
	{"json nested chain", `{"builders":[{"type":"null","communicator":"none"}],"post-processors":[["manifest",["manifest"]]]}`, "", []string{"post-processor 1.2: sequence not allowed to be nested in a sequence"}},
	{"json bad post-processor", `{"builders":[{"type":"null","communicator":"none"}],"post-processors":[5]}`, "",
		[]string{"post-processor 1: bad format"}},
	{"json keep type", `{"builders":[{"type":"null","communicator":"none"}],"post-processors":[{"type":"manifest","keep_input_artifact":"true"}]}`, "", []string{"keep_input_artifact", "expected type 'bool'"}},
	{"json version", `{"min_packer_version":"99.0.0","builders":[{"type":"null","communicator":"none"}]}`, "",
		[]string{"This template requires Packer version 99.0.0 or higher; using 1.16.0"}},
	{"json bad version", `{"min_packer_version":"new","builders":[{"type":"null","communicator":"none"}]}`, "",
		[]string{"min_version is invalid"}},
	{"json several at once", `{"x":1,"builders":[{"type":"nope"},{}],"provisioners":[{}]}`, "",
		[]string{"Unknown root level key", "missing 'type'", "Provisioner missing 'type'"}},

	// HCL2.
	{"hcl syntax", "source \"null\" \"x\" {\n  a = [1,\n", "", []string{"t.pkr.hcl line", "Error: "}},
	{"hcl root argument", "a = 1\nsource \"null\" \"x\" {}\n", "",
		[]string{"Unsupported argument", "on t.pkr.hcl line 1"}},
	{"hcl root block", "sorce \"null\" \"x\" {}\nbuild {}\n", "",
		[]string{"Unsupported block type", `Did you mean "source"?`}},
	{"hcl labels", "source \"null\" {}\nbuild { sources = [\"null.x\"] }\n", "",
		[]string{"Missing name for source"}},
	{"hcl no build", "source \"null\" \"x\" { communicator = \"none\" }\n", "", []string{"Missing build block"}},
	{"hcl no source", "build {}\nsource \"null\" \"x\" {}", "", []string{"missing source reference"}},
	{"hcl unknown source", "source \"null\" \"web\" { communicator = \"none\" }\n" +
		"build { sources = [\"null.wed\"] }", "", []string{"Unknown source null.wed", `Did you mean "null.web"?`,
		"line 2"}},
	{"hcl bad reference", "source \"null\" \"x\" { communicator = \"none\" }\nbuild { sources = [\"x\"] }", "",
		[]string{"Invalid source reference"}},
	{"hcl bare reference", "source \"null\" \"x\" { communicator = \"none\" }\n" +
		"build { sources = [source.null.x] }", "", []string{"quoted strings"}},
	{"hcl unknown builder", "source \"nul\" \"x\" {}\nbuild { sources = [\"nul.x\"] }", "",
		[]string{"Unknown source type nul", `Did you mean to use "null"?`}},
	{"hcl unknown provisioner",
		"source \"null\" \"x\" { communicator = \"none\" }\nbuild {\n sources = [\"null.x\"]\n" +
			" provisioner \"shel\" {}\n}", "", []string{`Unknown provisioner type "shel"`, "line 4"}},
	{"hcl unknown post-processor",
		"source \"null\" \"x\" { communicator = \"none\" }\nbuild {\n sources = [\"null.x\"]\n" +
			" post-processor \"manifesto\" {}\n}", "", []string{`Unknown post-processor type "manifesto"`}},
	{"hcl unknown argument", "source \"null\" \"x\" {\n  comunicator = \"none\"\n}\n" +
		"build { sources = [\"null.x\"] }", "", []string{`An argument named "comunicator" is not expected here.`,
		`"communicator"`, "on t.pkr.hcl line 2, in source \"null\" \"x\":", "2:   comunicator"}},
	{"hcl wrong type", "source \"null\" \"x\" {\n  communicator = \"none\"\n  ssh_port = \"many\"\n}\n" +
		"build { sources = [\"null.x\"] }", "",
		[]string{`Inappropriate value for attribute "ssh_port": a number is required`, "line 3"}},
	{"hcl missing required", "source \"file\" \"x\" {}\nbuild { sources = [\"file.x\"] }", "",
		[]string{"Missing required argument", `"target"`}},
	{"hcl duplicate source", "source \"null\" \"x\" {}\nsource \"null\" \"x\" {}\n" +
		"build { sources = [\"null.x\"] }", "", []string{"Duplicate source block", "line 2"}},
	{"hcl duplicate variable", "variable \"a\" {}\nvariable \"a\" {}\nbuild {}", "",
		[]string{"Duplicate variable"}},
	{"hcl duplicate local", "locals {\n  a = 1\n}\nlocals {\n  a = 2\n}\nbuild {}", "",
		[]string{"Duplicate local definition"}},
	{"hcl unset variable", "variable \"a\" {}\nvariable \"b\" {}\n" +
		"source \"null\" \"x\" { communicator = \"none\" }\nbuild { sources = [\"null.x\"] }", "",
		[]string{`Unset variable "a"`, `Unset variable "b"`, "PKR_VAR_a"}},
	{"hcl undeclared variable",
		"source \"file\" \"x\" { target = var.nope }\nvariable \"none\" { default = \"\" }\n" +
			"build { sources = [\"file.x\"] }", "", []string{"Unsupported attribute", `There is no variable "nope"`,
			`Did you mean "none"?`}},
	{"hcl bad default", "variable \"a\" {\n  type = number\n  default = \"x\"\n}\nbuild {}", "",
		[]string{"Invalid default value for variable", "line 3"}},
	{"hcl default uses variable", "variable \"a\" { default = var.b }\nbuild {}", "",
		[]string{"Variables not allowed"}},
	{"hcl default uses function", "variable \"a\" { default = upper(\"b\") }\nbuild {}", "",
		[]string{"Call to unknown function"}},
	{"hcl each in a local", "locals {\n  a = each.key\n  b = matrix.x\n}\nbuild {}", "",
		[]string{"each has a value where the block", "matrix has a value where the block"}},
	{"hcl each without for_each", "source \"null\" \"x\" { communicator = each.key }\n" +
		"build { sources = [\"null.x\"] }", "", []string{"each has a value where the block", "has for_each"}},
	{"hcl artifact in a local", "locals { a = artifact.b.n.id }\nbuild {}", "",
		[]string{"artifact.BUILD.SOURCE may stand in sources, provisioners and post-processors"}},
	{"hcl toset", "locals { a = toset([\"a\"]) }\nbuild {}", "",
		[]string{`no function named "toset". for_each takes a list of strings as it is`, "convert(LIST, set(string))"}},
	{"hcl functions of others", "locals {\n  a = filemd5(\"a\")\n  b = tostring(1)\n}\nbuild {}", "",
		[]string{"Write md5(file(PATH)).", "convert(VALUE, string)"}},
	{"hcl plugin builder", "source \"amazon-ebs\" \"x\" {}\nbuild { sources = [\"amazon-ebs.x\"] }", "",
		[]string{"The builder amazon-ebs is known, but not part of this version: it comes with a plugin"}},
	{"hcl bad type", "variable \"a\" { type = strin }\nbuild {}", "", []string{"Invalid type specification"}},
	{"hcl validation", "variable \"a\" {\n  default = \"x\"\n  validation {\n    condition = var.a == \"y\"\n" +
		"    error_message = \"It must be y.\"\n  }\n}\nbuild {}", "",
		[]string{"Invalid value for default variable", "It must be y."}},
	{"hcl validation message",
		"variable \"a\" {\n  default = \"x\"\n  validation {\n    condition = var.a == \"x\"\n" +
			"    error_message = \"no end\"\n  }\n}\nbuild {}", "", []string{"Invalid validation error message"}},
	{"hcl validation reference",
		"variable \"a\" {\n  default = \"x\"\n  validation {\n    condition = local.b\n" +
			"    error_message = \"No.\"\n  }\n}\nbuild {}", "", []string{"Invalid reference in variable validation"}},
	{"hcl cycle", "locals {\n  a = local.b\n  b = local.a\n}\n" +
		"source \"null\" \"x\" { communicator = \"none\" }\nbuild { sources = [\"null.x\"] }", "",
		[]string{"failed to prepare execution graph", "Cycle: local.a, local.b"}},
	{"hcl self reference", "locals { a = local.a }\nsource \"null\" \"x\" { communicator = \"none\" }\n" +
		"build { sources = [\"null.x\"] }", "", []string{"Self reference: local.a"}},
	{"hcl missing local", "locals { a = local.zz }\nsource \"null\" \"x\" { communicator = \"none\" }\n" +
		"build { sources = [\"null.x\"] }", "",
		[]string{`could not get dependency "local.zz" for "local.a", "local.zz" missing in template`}},
	{"hcl unknown function", "locals { a = uper(\"x\") }\nsource \"null\" \"x\" { communicator = \"none\" }\n" +
		"build { sources = [\"null.x\"] }", "", []string{"Call to unknown function", `"upper"`}},
	{"hcl unknown data", "data \"htp\" \"x\" {}\nsource \"null\" \"x\" { communicator = \"none\" }\n" +
		"build { sources = [\"null.x\"] }", "", []string{"Unknown data type htp", `"http"`}},
	{"hcl version", "packer { required_version = \">= 99\" }\nbuild {}", "",
		[]string{"Unsupported Packer Core version"}},
	{"hcl bad version", "packer { required_version = \"new\" }\nbuild {}", "",
		[]string{"Invalid version constraint"}},
	{"hcl plugin without source",
		"packer {\n  required_plugins {\n    a = { version = \"1.0.0\" }\n  }\n}\nbuild {}", "",
		[]string{"No source was set"}},
	{"hcl duplicate argument",
		"source \"null\" \"x\" { communicator = \"none\" }\nbuild {\n" +
			"  source \"null.x\" { communicator = \"ssh\" }\n}", "", []string{"Duplicate argument"}},
	{"hcl duration", "source \"null\" \"x\" { communicator = \"none\" }\nbuild {\n  sources = [\"null.x\"]\n" +
		"  provisioner \"shell-local\" {\n    inline = [\"x\"]\n    pause_before = 5\n  }\n}", "",
		[]string{"Failed to parse pause_before duration", "line 6"}},
	{"hcl only and except", "source \"null\" \"x\" { communicator = \"none\" }\nbuild {\n" +
		"  sources = [\"null.x\"]\n  provisioner \"shell-local\" {\n    inline = [\"x\"]\n" +
		"    only = [\"null.x\"]\n    except = [\"null.x\"]\n  }\n}", "",
		[]string{"only one of 'only' or 'except' may be specified"}},
	{"hcl override shape", "source \"null\" \"x\" { communicator = \"none\" }\nbuild {\n" +
		"  sources = [\"null.x\"]\n  provisioner \"shell-local\" {\n    inline = [\"x\"]\n    override = \"x\"\n" +
		"  }\n}", "", []string{"provisioner's override block must be an HCL object"}},
	{"hcl unknown build value",
		"source \"null\" \"x\" { communicator = \"none\" }\nbuild {\n  sources = [\"null.x\"]\n" +
			"  provisioner \"shell-local\" { inline = [build.Nope] }\n}", "",
		[]string{"Unsupported attribute", "Nope"}},
	{"hcl component", "source \"null\" \"x\" { communicator = \"none\" }\nbuild {\n  sources = [\"null.x\"]\n" +
		"  provisioner \"shell-local\" {}\n}", "", []string{`Failed preparing provisioner-block "shell-local" ""`,
		"cannot all be empty", "line 4"}},
	{"hcl refused option", "source \"null\" \"x\" {\n  communicator = \"winrm\"\n  winrm_username = \"a\"\n}\n" +
		"build { sources = [\"null.x\"] }", "",
		[]string{`"winrm_username" cannot be used: WinRM is not in this version`, "line 3"}},
	{"hcl second cleanup", "source \"null\" \"x\" { communicator = \"none\" }\nbuild {\n" +
		"  sources = [\"null.x\"]\n  error-cleanup-provisioner \"shell-local\" { inline = [\"x\"] }\n" +
		"  error-cleanup-provisioner \"shell-local\" { inline = [\"x\"] }\n}", "",
		[]string{"Only one error-cleanup-provisioner is allowed"}},
	{"hcl several at once", "source \"null\" \"x\" {\n  comunicator = \"none\"\n}\nbuild {\n" +
		"  sources = [\"null.x\", \"null.y\"]\n  provisioner \"shel\" {}\n}", "",
		[]string{"Unknown source null.y", `Unknown provisioner type "shel"`}},

	// Command lines.
	{"no such template", `{"builders":[{"type":"null","communicator":"none"}]}`, "validate missing.json",
		[]string{`"missing.json": stat missing.json: no such file or directory`}},
	{"empty folder", `{"builders":[]}`, "validate sub", []string{"Could not find any config file in sub"}},
	{"unknown flag", `{"builders":[]}`, "build -forse t.json",
		[]string{"flag provided but not defined: -forse", "Did you mean -force?"}},
	{"bad flag value", `{"builders":[]}`, "build -parallel-builds=many t.json",
		[]string{`invalid value "many" for flag -parallel-builds`}},
	{"missing var-file", `{"builders":[{"type":"null","communicator":"none"}]}`,
		"validate -var-file=none.json t.json", []string{"open none.json: no such file or directory"}},
	{"two templates", `{"builders":[]}`, "build t.json t.json", []string{"too many arguments"}},
	{"no build selected", `{"builders":[{"type":"null","communicator":"none"}]}`, "build -only=x t.json",
		[]string{"No builds to run"}},
}

func TestBroken(t *testing.T) {
	for _, c := range broken {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			name := "t.pkr.hcl"
			if c.template[0] == '{' || c.template[0] == '[' || c.template == " " {
				name = "t.json"
			}
			write(t, dir, name, c.template)
			if err := os.Mkdir(filepath.Join(dir, "sub"), 0o755); err != nil {
				t.Fatal(err)
			}
			args := []string{"validate", name}
			if c.args != "" {
				args = strings.Fields(c.args)
			}
			cmd := exec.Command(program, args...)
			cmd.Dir, cmd.Env = dir, append(os.Environ(), "KILN_HOME="+filepath.Join(dir, "home"))
			out, err := cmd.CombinedOutput()
			if code := cmd.ProcessState.ExitCode(); code != 1 {
				t.Errorf("exit code %d (%v)", code, err)
			}
			// Details are wrapped: spaces of any kind are alike.
			text := strings.Join(strings.Fields(string(out)), " ")
			for _, w := range c.want {
				if !strings.Contains(text, strings.Join(strings.Fields(w), " ")) {
					t.Errorf("not said: %s\n%s", w, out)
				}
			}
			if strings.Contains(text, "panic") || strings.Contains(text, "goroutine ") {
				t.Errorf("a panic:\n%s", out)
			}
		})
	}
	if len(broken) < 60 {
		t.Errorf("%d cases", len(broken))
	}
}
