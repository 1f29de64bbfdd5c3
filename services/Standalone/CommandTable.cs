using MailPipeline.ServiceDefaults;
using MailPipeline.Standalone.Demo;

namespace MailPipeline.Standalone;

/// <summary>The server and the few words beside it, and how their failures end the process: 0 done, 1 not done, 2 bad use or bad start.</summary>
internal static class CommandTable
{
    private static readonly Command[] s_commands =
    [
        new("", "run the server until SIGTERM or Ctrl+C", Server.RunAsync),
        DemoTour.Command,
        new("version", "the version of this program", async (call, _) =>
        {
            await call.Output.WriteLineAsync(ProgramVersion.Text);
            return ExitCodes.Done;
        }),
        new("help", "this text", (call, _) => Task.FromResult(Help(call.Output))),
    ];

    public static async Task<int> RunAsync(IReadOnlyList<string> line, TextWriter output, TextWriter error, CancellationToken cancellation = default)
    {
        try
        {
            var arguments = Arguments.Parse(line);
            return await Find(arguments.Words).Run(new Invocation(arguments, output, error), cancellation);
        }
        catch (CommandLineException misused)
        {
            await error.WriteLineAsync($"{misused.Message}. 'help' shows what there is.");
            return ExitCodes.BadStart;
        }
        catch (StartupException stopped)
        {
            await error.WriteLineAsync(stopped.Message);
            return ExitCodes.BadStart;
        }
    }

    private static Command Find(IReadOnlyList<string> words)
    {
        // "help" may come with anything: "help domain", "domain add --help".
        var word = words is [var first, ..] ? first : "";
        if (s_commands.FirstOrDefault(known => known.Word == word) is { } command && (words.Count <= 1 || word is "help" or "version"))
            return command;
        throw new CommandLineException(words.Count > 1 && s_commands.Any(known => known.Word == word)
            ? $"Usage: {word}"
            : $"There is no command '{word}' here; the program {MailProgram.Shown} has the operator's");
    }

    private static int Help(TextWriter output)
    {
        output.WriteLine($"MailPipeline {ProgramVersion.Text}, all services in one process.");
        output.WriteLine();
        output.WriteLine($"Usage: {Greeting.Program()} [COMMAND] [OPTIONS]");
        output.WriteLine();
        foreach (var command in s_commands)
            output.WriteLine($"  {(command.Word.Length == 0 ? "(no command)" : command.Word),-34} {command.Summary}");
        output.WriteLine();
        output.WriteLine($"""
              --data DIR                         folder of database, content and certificate (default "{DataFolder.DefaultName}")
              --port-offset N                    moves every default port by N (0 to {Arguments.MaxPortOffset})
              --Section:Key=value                any setting; also from appsettings.json and the environment (Section__Key)

            Domains, accounts, aliases, messages and the queue: {MailProgram.Shown}, while the server runs on the same folder.
            Settings are described in the sources, in services/Standalone/README.md.
            """);
        return ExitCodes.Done;
    }
}
