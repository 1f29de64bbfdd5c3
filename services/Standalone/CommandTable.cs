using MailPipeline.ServiceDefaults;
using MailPipeline.Standalone.Commands;
using MailPipeline.Standalone.Demo;
using MailPipeline.Storage;

namespace MailPipeline.Standalone;

/// <summary>One thing the program can be told to do.</summary>
/// <param name="Words">What is typed; empty for the server.</param>
/// <param name="Parameters">Names of the arguments that follow, e.g. "ADDRESS TARGET".</param>
internal sealed record Command(string Words, string Parameters, string Summary, Func<Invocation, CancellationToken, Task<int>> Run)
{
    public int ParameterCount => Parameters.Length == 0 ? 0 : Parameters.Split(' ').Length;

    public string Syntax => Parameters.Length == 0 ? Words : $"{Words} {Parameters}";
}

/// <summary>A command with its arguments.</summary>
internal sealed record Invocation(Arguments Arguments, IReadOnlyList<string> Values, Terminal Terminal);

/// <summary>The commands, their help, and how their failures end the process: 0 done, 1 not done, 2 bad use or bad start.</summary>
internal static class CommandTable
{
    public const int Done = 0;
    public const int NotDone = 1;
    public const int BadStart = 2;

    private static readonly Command[] s_commands =
    [
        new("", "", "run the server until SIGTERM or Ctrl+C", Server.RunAsync),
        .. DirectoryCommands.All,
        .. MessageCommands.All,
        .. QueueCommands.All,
        DemoTour.Command,
        new("version", "", "the version of this program", async (call, _) =>
        {
            await call.Terminal.Out.WriteLineAsync(ProgramVersion.Text);
            return Done;
        }),
        new("help", "", "this text", (call, _) => Task.FromResult(Help(call.Terminal.Out, Done))),
    ];

    public static async Task<int> RunAsync(IReadOnlyList<string> line, Terminal terminal, CancellationToken cancellation = default)
    {
        try
        {
            var arguments = Arguments.Parse(line);
            var (command, values) = Find(arguments.Words);
            return await command.Run(new Invocation(arguments, values, terminal), cancellation);
        }
        catch (UsageException misused)
        {
            await terminal.Error.WriteLineAsync($"{misused.Message}. 'help' shows what there is.");
            return BadStart;
        }
        catch (StorageUnavailableException busy)
        {
            var became = busy.Fault == StorageFault.OutcomeUnknown ? "Perhaps done, look before doing it again" : "Not done";
            await terminal.Error.WriteLineAsync($"{became}: {busy.Message}");
            return NotDone;
        }
        catch (StartupException stopped)
        {
            await terminal.Error.WriteLineAsync(stopped.Message);
            return BadStart;
        }
    }

    private static (Command Command, IReadOnlyList<string> Values) Find(IReadOnlyList<string> words)
    {
        // "help" may come with anything: "help domain", "domain add --help".
        if (words is [("help" or "version") and var alone, ..])
            return (s_commands.Single(command => command.Words == alone), []);
        var typed = string.Join(' ', words);
        var matches = s_commands
            .Where(command => command.Words.Length == 0 ? words.Count == 0 : (typed + " ").StartsWith(command.Words + " ", StringComparison.Ordinal))
            .ToList();
        // "message hold ID" is meant where "message ID" would do as well.
        if (matches.MaxBy(match => match.Words.Length) is { } command)
        {
            string[] values = [.. words.Skip(command.Words.Length == 0 ? 0 : command.Words.Split(' ').Length)];
            return values.Length == command.ParameterCount
                ? (command, values)
                : throw new UsageException(UsageOf(command.Words));
        }
        throw new UsageException(s_commands.Any(known => known.Words.StartsWith(words[0] + " ", StringComparison.Ordinal))
            ? UsageOf(words[0])
            : $"There is no command '{words[0]}'");
    }

    /// <summary>The command of these words, and those that begin with them.</summary>
    private static string UsageOf(string words) =>
        "Usage: " + string.Join(" | ", s_commands.Where(known => (known.Words + " ").StartsWith(words + " ", StringComparison.Ordinal)).Select(known => known.Syntax));

    private static int Help(TextWriter output, int exitCode)
    {
        output.WriteLine($"MailPipeline {ProgramVersion.Text}, all services in one process.");
        output.WriteLine();
        output.WriteLine($"Usage: {Greeting.Program()} [COMMAND] [OPTIONS]");
        output.WriteLine();
        foreach (var command in s_commands)
            output.WriteLine($"  {(command.Words.Length == 0 ? "(no command)" : command.Syntax),-34} {command.Summary}");
        output.WriteLine();
        output.WriteLine($"""
              --data DIR                         folder of database, content and certificate (default "{Arguments.DefaultDataFolder}")
              --port-offset N                    moves every default port by N (0 to {Arguments.MaxPortOffset})
              --Section:Key=value                any setting; also from appsettings.json and the environment (Section__Key)

            Passwords are asked for, or read from standard input when that is not a terminal. All commands work while the
            server runs on the same folder. Settings are described in the sources, in services/Standalone/README.md.
            """);
        return exitCode;
    }
}
