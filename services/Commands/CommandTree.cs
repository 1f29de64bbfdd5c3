using System.CommandLine;
using MailPipeline.Administration;
using MailPipeline.Authentication.Dkim;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Commands;

/// <summary>All commands, their arguments and their help. What a command does is a question to the store or a change of it, and a reply.</summary>
internal sealed class CommandTree
{
    private readonly Option<string[]> _data = new("--data")
    {
        Description = $"folder of the server's data (default \"{DataFolder.DefaultName}\"); not needed where ConnectionStrings__maildb names PostgreSQL",
        HelpName = "DIR",
        Recursive = true,
    };

    private readonly Option<bool> _json = new("--json") { Description = "write the answer as one line of JSON", Recursive = true };

    private readonly Option<string> _as = new("--as")
    {
        Description = "under whose name a change is noted; default: MAIL_OPERATOR, or who called sudo, or the user",
        HelpName = "NAME",
        Recursive = true,
    };

    private readonly Terminal _terminal;
    private readonly IReadOnlyDictionary<string, string?> _settings;

    public CommandTree(Terminal terminal, IReadOnlyDictionary<string, string?> settings)
    {
        _terminal = terminal;
        _settings = settings;
        Root = new RootCommand("The operator's commands of MailPipeline. They work while the servers run on the same store.")
        {
            _data, _json, _as,
            DirectoryCommands.Domain(this), DirectoryCommands.Account(this, terminal), DirectoryCommands.Alias(this),
            MessageCommands.Message(this), QueueCommands.Queue(this), RuleCommands.Rule(this), DkimCommands.Dkim(this),
            TlsCommands.Tls(this), DmarcCommands.Dmarc(this), EventCommands.Event(this), BanCommands.Ban(this), SuppressionCommands.Suppression(this, terminal), TokenCommands.Token(this), AuditCommands.Audit(this), CheckCommands.Check(this),
            Version(),
        };
    }

    public RootCommand Root { get; }

    public bool WantsJson(ParseResult line) => line.GetValue(_json);

    /// <summary>The time at which the command is given.</summary>
    public DateTimeOffset Now { get; } = TimeProvider.System.GetUtcNow();

    /// <summary>Who gives the command.</summary>
    public OperatorIdentity OperatorOf(ParseResult line) => OperatorName.Of(line.GetValue(_as));

    /// <summary>A command that asks an open store, or changes it.</summary>
    /// <param name="makes">It makes the store where there is none.</param>
    public Command Create(
        string name, string summary, Func<OpenStore, ParseResult, CancellationToken, Task<Reply>> run, bool makes = false, params Argument[] arguments)
    {
        var command = new Command(name, summary);
        foreach (var argument in arguments)
            command.Arguments.Add(argument);
        command.SetAction(async (line, cancellation) =>
        {
            Reply reply;
            await using (var store = await OpenStore.OpenAsync(FolderOf(line), _settings, makes, cancellation))
                reply = await run(store, line, cancellation);
            return await ReplyWriter.WriteAsync(reply, _terminal, WantsJson(line));
        });
        return command;
    }

    /// <summary>A command that asks DNS and opens no store.</summary>
    /// <param name="dns">Which server it asks; null: it asks none.</param>
    public Command CreateWithDns(
        string name, string summary, Option<string>? dns, Func<OpenResolver, ParseResult, CancellationToken, Task<Reply>> run, params Argument[] arguments)
    {
        var command = new Command(name, summary);
        foreach (var argument in arguments)
            command.Arguments.Add(argument);
        command.SetAction(async (line, cancellation) =>
        {
            Reply reply;
            await using (var resolver = await OpenResolver.OpenAsync(FolderOf(line), _settings, dns is null ? null : line.GetValue(dns)))
                reply = await run(resolver, line, cancellation);
            return await ReplyWriter.WriteAsync(reply, _terminal, WantsJson(line));
        });
        return command;
    }

    /// <summary>A command about the keys that mail is signed with, in their folder.</summary>
    /// <param name="changes">It changes some, which is noted in the store, where one is there.</param>
    public Command CreateWithKeys(
        string name, string summary, Func<DkimKeys, ParseResult, CancellationToken, Task<Reply>> run, bool changes, params Argument[] arguments)
    {
        var command = new Command(name, summary);
        foreach (var argument in arguments)
            command.Arguments.Add(argument);
        command.SetAction(async (line, cancellation) =>
        {
            var folder = KeyFolderOf(line);
            Reply reply;
            // Opened first: what cannot be noted is not done.
            await using var store = changes ? await OpenStore.OpenIfThereAsync(FolderOf(line), _settings, cancellation) : null;
            try
            {
                reply = await run(new DkimKeys(new KeyFolder(folder), store?.AuditLog), line, cancellation);
            }
            catch (Exception denied) when (denied is IOException or UnauthorizedAccessException)
            {
                throw new UsageException($"Dkim:KeyFolder is '{folder}', where keys cannot be read or written: {denied.Message}");
            }

            return await ReplyWriter.WriteAsync(reply, _terminal, WantsJson(line));
        });
        return command;
    }

    /// <summary>A command that only names a group of others.</summary>
    public static Command Group(string name, string summary, params Command[] commands)
    {
        var group = new Command(name, summary);
        foreach (var command in commands)
            group.Subcommands.Add(command);
        return group;
    }

    // The last one counts: the first may stand in a shell's alias.
    private string FolderOf(ParseResult line) => line.GetValue(_data) switch
    {
        [.., { Length: > 0 } folder] => folder,
        [.., _] => throw new UsageException("--data needs the name of a folder"),
        _ => DataFolder.DefaultName,
    };

    /// <summary>DNS as the settings have it.</summary>
    /// <param name="server">The server that is asked; null: those of the settings.</param>
    public Task<OpenResolver> OpenResolverAsync(ParseResult line, string? server) => OpenResolver.OpenAsync(FolderOf(line), _settings, server);

    private string KeyFolderOf(ParseResult line)
    {
        var folder = FolderOf(line);
        return CommandSettings.Read(folder, _settings)[$"{DkimOptions.Section}:{nameof(DkimOptions.KeyFolder)}"] is { Length: > 0 } configured
            ? configured : Path.Combine(folder, DkimOptions.FolderName);
    }

    private Command Version()
    {
        var version = new Command("version", "the version of this program");
        version.SetAction((line, _) => ReplyWriter.WriteAsync(
            Reply.Show("version", [new LinePart(ProgramVersion.Text)], json => json.WriteString("version", ProgramVersion.Text)), _terminal, WantsJson(line)));
        return version;
    }
}
