"""What the properties of script tasks and task runners mean, and an example of each type. Read when a schema or documentation is made."""

from __future__ import annotations

WORDS: dict[str, str] = {
    "taskRunner": "Where the command runs; otherwise as the settings say.",
    "containerImage": "Image of the container.",
    "beforeCommands": "Lines that run first, in the same shell.",
    "env": "Environment variables.",
    "interpreter": "Program and arguments that the lines are given to.",
    "failFast": "Stop at the first line that fails; otherwise the last one decides.",
    "warningOnStdErr": "Deprecated: without effect, the exit code alone decides.",
    "outputDirectory": "Deprecated: use `outputFiles`. Every file below `{{ outputDir }}` is kept.",
    "targetOS": "System that the lines are for.",
    "runner": "Deprecated: use `taskRunner`.",
    "docker": "Deprecated: use `taskRunner` and `containerImage`.",
    "commands": "Lines to run.",
    "script": "Text of the script.",
    "dependencies": "Packages as pip names them. They are installed for this task alone and kept for its next run.",
    "dependencyCacheEnabled": "Keep the installed packages for the next run.",
    "pythonVersion": "Python that the packages are for.",
    "packageManager": "UV where the image has it, else PIP; or PIP.",
    "uvAutoInstallEnabled": "Accepted without effect: UV is used where the image has it.",
    "uvInstallerVersion": "Accepted without effect.",
    "uvInstallerSha256": "Accepted without effect.",
    "JBangScript.extension": "Ending of the script's file.",
    "JBangScript.quiet": "Log only the script's own output.",
    # containers
    "ContainerOptions.host": "Refused: the engine is the one of the settings.",
    "config": "Docker's configuration: registries to log in to.",
    "credentials": "How to log in to the image's registry.",
    "user": "User in the container.",
    "entryPoint": "Entry point in place of the image's own.",
    "extraHosts": "More host names, each `name:address`.",
    "networkMode": "Network: `bridge`, `none` or a name.",
    "volumes": "Directories of the machine, each `from:to`. Only where the settings allow it.",
    "portBindings": "Ports to publish, each `host:container`.",
    "pullPolicy": "When the image is pulled.",
    "deviceRequests": "Devices such as GPUs.",
    "cpu": "Limit of CPU.",
    "ContainerOptions.memory": "Limit of memory.",
    "shmSize": "Size of /dev/shm, like 256MB.",
    "privileged": "Rights over the machine. Only where the settings allow it.",
    "DockerOptions.image": "Image of the container.",
    "fileHandlingStrategy": "Accepted without effect: files are copied.",
    "delete": "Remove the container at the end.",
    "Docker.wait": "Wait for the end.",
    "killGracePeriod": "Time between asking the container to end and killing it.",
    "resume": "Take up a running container after a restart of the daemon.",
    "capAdd": "Capabilities beyond none, of Docker's usual set (ours).",
    "constraints": "Which nodes of a swarm may have the task, for example `node.labels.disk==ssd`.",
    "reservations": "What a node must have free.",
    "secrets": "Secrets of the swarm, mounted at `/run/secrets/<name>`; the operator names those that may be had.",
    "cpus": "How many, fractions allowed.",
    "Memory.memory": "Most memory, like 512MB.",
    "NodeMemory.memory": "Most memory, like 512MB.",
    "Reservations.memory": "Memory, like 512MB.",
    "Swarm.memory": "Limit of memory.",
    "memorySwap": "Most memory and swap together.",
    "memorySwappiness": "How readily memory is swapped, 0 to 100.",
    "memoryReservation": "Memory that is kept free for the container.",
    "kernelMemory": "Most memory of the kernel.",
    "oomKillDisable": "Do not kill it when it runs out of memory.",
    "registry": "Host name of the registry.",
    "username": "Name to log in with.",
    "password": "Password to log in with.",
    "registryToken": "Token of the registry.",
    "identityToken": "Token that stands for name and password.",
    "Credentials.auth": "Base64 of `user:password`.",
    "driver": "Driver of the device.",
    "count": "How many; -1 is all.",
    "deviceIds": "Which ones.",
    "capabilities": "What they must be able to do, like [[gpu]].",
    "DeviceRequest.options": "Options of the driver.",
}

_SCRIPTS = "io.kestra.plugin.scripts."
_HELLO = {
    "python": "print(\"hello {{ inputs.name }}\")", "shell": "echo \"hello {{ inputs.name }}\"", "node": "console.log(\"hello\")",
    "r": "print(\"hello\")", "julia": "println(\"hello\")", "ruby": "puts \"hello\"", "powershell": "Write-Output \"hello\"",
    "jbang": "class Hello { public static void main(String[] args) { System.out.println(\"hello\"); } }",
    "go": "package main; func main() { println(\"hello\") }", "bun": "console.log(\"hello\")", "deno": "console.log(\"hello\")",
    "perl": "print \"hello\\n\";", "php": "<?php echo \"hello\\n\";", "lua": "print(\"hello\")", "groovy": "println \"hello\"",
    "dotnet": "Console.WriteLine(\"hello\");",
}
_CALL = {
    "python": "python main.py", "shell": "wc -l data.csv", "node": "node main.js", "r": "Rscript main.R", "julia": "julia main.jl",
    "ruby": "ruby main.rb", "powershell": "./main.ps1", "jbang": "jbang Main.java", "go": "go run main.go", "bun": "bun run main.ts",
    "deno": "deno run main.ts", "perl": "perl main.pl", "php": "php main.php", "lua": "lua main.lua", "groovy": "groovy main.groovy",
    "dotnet": "dotnet-script main.csx",
}

EXAMPLES: dict[str, str] = {
    **{f"{_SCRIPTS}{name}.Script": f"{{id: run, type: scripts.{name}.Script, script: '{text}'}}" for name, text in _HELLO.items()},
    **{
        f"{_SCRIPTS}{name}.Commands": f"{{id: run, type: scripts.{name}.Commands, namespaceFiles: {{enabled: true}}, commands: ['{call}']}}"
        for name, call in _CALL.items()
    },
    f"{_SCRIPTS}runner.docker.Docker": "{type: scripts.runner.docker.Docker, pullPolicy: IF_NOT_PRESENT, cpu: {cpus: 1}, memory: {memory: 512MB}}",
    "io.kestra.plugin.core.runner.Process": "{type: core.runner.Process}",
    "podium.swarm.Swarm": "{type: podium.swarm.Swarm, constraints: [node.role==worker], cpu: {cpus: 1}, memory: {memory: 512MB}}",
}
"""Type → YAML."""
