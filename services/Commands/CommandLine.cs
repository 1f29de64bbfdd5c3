using System.CommandLine;
using MailPipeline.Administration;
using MailPipeline.ServiceDefaults;
using MailPipeline.Storage;

namespace MailPipeline.Commands;

/// <summary>Runs one command line, and turns whatever keeps it from being done into one sentence and an exit code.</summary>
internal static class CommandLine
{
    // "@example.org" is an alias for all of a domain, and names no file of further arguments.
    private static readonly ParserConfiguration s_parsing = new() { ResponseFileTokenReplacer = null };

    /// <returns>0 done, 1 not done, 2 bad use or bad start.</returns>
    public static async Task<int> RunAsync(string[] line, Terminal terminal, CancellationToken cancellation = default)
    {
        var json = line.Contains("--json");
        try
        {
            var (words, settings) = CommandSettings.Split(line);
            var tree = new CommandTree(terminal, settings);
            // "help" may come with anything: "help", "help domain".
            var parsed = tree.Root.Parse(words is ["help", ..] ? [.. words.Skip(1), "--help"] : words, s_parsing);
            if (parsed.Errors.Count > 0)
                throw new UsageException(Usage(parsed));
            // Commands write their replies to the terminal; what comes here is help, or completions for a shell.
            using var help = new StringWriter();
            var invocation = new InvocationConfiguration { Output = help, Error = terminal.Error, EnableDefaultExceptionHandler = false };
            var exitCode = await parsed.InvokeAsync(invocation, cancellation);
            var text = help.ToString();
            return text.Length == 0 ? exitCode : await ReplyWriter.WriteAsync(text, terminal, exitCode);
        }
        catch (UsageException misused)
        {
            return await ReplyWriter.WriteAsync(Reply.Misused(misused.Message), terminal, json);
        }
        catch (StorageUnavailableException busy)
        {
            var (result, became) = busy.Fault == StorageFault.OutcomeUnknown
                ? ("outcomeUnknown", "Perhaps done, look before doing it again")
                : ("storageUnavailable", "Not done");
            return await ReplyWriter.WriteAsync(Reply.Fail(ActStatus.NotDone, result, $"{became}: {busy.Message}"), terminal, json);
        }
        catch (StartupException stopped)
        {
            return await ReplyWriter.WriteAsync(Reply.BadStart(stopped.Message), terminal, json);
        }
    }

    /// <summary>What is wrong with the words, and what the command that was meant looks like.</summary>
    private static string Usage(ParseResult parsed)
    {
        var command = parsed.CommandResult.Command;
        var words = string.Join(' ', Names(command).Reverse());
        var syntax = command.Subcommands.Count == 0 || command.Action is not null ? [Syntax(words, command)] : Enumerable.Empty<string>();
        var usage = string.Join(" | ", syntax.Concat(command is RootCommand ? [] : command.Subcommands.Select(sub => Syntax($"{words} {sub.Name}", sub))));
        // A word that nobody knows tells more than that another one is missing in its place.
        var fault = parsed.UnmatchedTokens is [var unknown, ..] ? $"Unrecognized command or argument '{unknown}'" : parsed.Errors[0].Message.TrimEnd('.');
        return usage.Length > 0 ? $"{fault}. Usage: {usage}" : fault;

        static IEnumerable<string> Names(Command command)
        {
            for (var one = command; one is not RootCommand; one = one.Parents.OfType<Command>().First())
                yield return one.Name;
        }

        static string Syntax(string words, Command command) => string.Join(' ', command.Arguments.Select(argument => argument.Name).Prepend(words));
    }
}
