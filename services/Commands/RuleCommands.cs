using System.CommandLine;
using System.Globalization;
using MailPipeline.Administration;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Commands;

/// <summary>Rules about mail that waits, by name.</summary>
internal static class RuleCommands
{
    private static readonly string s_acts = string.Join(", ", Enum.GetValues<RuleAct>().Select(Json.Name));

    public static Command Rule(CommandTree tree)
    {
        var name = new Argument<string>("NAME") { Description = "what the rule is called: letters, digits, '.', '_' and '-'" };
        return CommandTree.Group(
            "rule", "rules about mail that waits and that comes: hold it, suspend a destination, lead it elsewhere, and so on",
            Add(tree, name),
            tree.Create("list", "all rules, and what each fits now", async (store, _, cancellation) => RuleReply.Of(await store.Rules.ListAsync(cancellation))),
            tree.Create("show", "one rule, and what it fits now", async (store, line, cancellation) =>
                RuleReply.Of(await store.Rules.FindAsync(line.GetRequiredValue(name), cancellation), store.Time.GetUtcNow()), makes: false, name),
            Change(tree, name),
            tree.Create("remove", "end a rule: what it kept back goes on as it was", async (store, line, _) =>
                RuleReply.Of(await store.Rules.RemoveAsync(line.GetRequiredValue(name), tree.OperatorOf(line)), store.Time.GetUtcNow()), makes: false, name));
    }

    private static Command Add(CommandTree tree, Argument<string> name)
    {
        var act = new Argument<string>("ACT")
        {
            Description = $"{s_acts}; the first four stand until they are removed or end, the others are done once, to what waits now",
        };
        act.Validators.Add(result =>
        {
            if (result.Tokens is [var typed] && ActOf(typed.Value) is null)
                result.AddError($"ACT is '{typed.Value}'; it must be one of {s_acts}");
        });
        var dryRun = new Option<bool>("--dry-run") { Description = "only count what it would be done to" };
        var options = new DraftOptions();
        var add = tree.Create("add", "make a rule; all that it asks for must be so", async (store, line, cancellation) =>
            RuleReply.Of(
                await store.Rules.AddAsync(
                    line.GetRequiredValue(name), ActOf(line.GetRequiredValue(act)) ?? RuleAct.Hold, options.Read(line, store.Time.GetUtcNow()), line.GetValue(dryRun),
                    tree.OperatorOf(line), cancellation), store.Time.GetUtcNow()), makes: false, name, act);
        options.AddTo(add);
        add.Options.Add(dryRun);
        return add;
    }

    private static Command Change(CommandTree tree, Argument<string> name)
    {
        var never = new Option<bool>("--no-end") { Description = "it stands until it is removed" };
        var options = new DraftOptions();
        var change = tree.Create("change", "change what is said of a rule that stands; the rest of it stays", async (store, line, cancellation) =>
            RuleReply.Of(
                await store.Rules.ChangeAsync(
                    line.GetRequiredValue(name), options.Read(line, store.Time.GetUtcNow()), line.GetValue(never), tree.OperatorOf(line), cancellation),
                store.Time.GetUtcNow()), makes: false, name);
        options.AddTo(change);
        change.Options.Add(never);
        return change;
    }

    private static RuleAct? ActOf(string typed) =>
        Enum.TryParse<RuleAct>(typed, ignoreCase: true, out var act) && Enum.IsDefined(act) && !char.IsAsciiDigit(typed[0]) ? act : null;

    /// <summary>What a rule says, as options.</summary>
    private sealed class DraftOptions
    {
        private readonly Option<string> _domain = Text("--domain", "DOMAIN", "of recipients there; *.example.org: in all domains below; *: anywhere");
        private readonly Option<string> _site = Text("--site", "HOST", "for domains whose mail goes to this host, or below *.example.org, as far as attempts have told");
        private readonly Option<string> _sender = Text("--sender", "SENDER", "from this address, or one in a domain or below *.example.org; <> for reports");
        private readonly Option<string> _senderDomain = Text("--sender-domain", "DOMAIN", "from an address in this domain, or below *.example.org");
        private readonly Option<string> _account = Text("--account", "ACCOUNT", "from this account, or from those of a domain: as they were logged in");
        private readonly Option<string> _recipient = Text("--recipient", "ADDRESS", "to this address or one in a domain, as it is or as it was before aliases");
        private readonly Option<string> _message = Text("--message", "ID", "of this message");
        private readonly Option<string> _older = Text("--older", "TIME", "accepted at least so long ago: 30m, 2h, 3d");
        private readonly Option<string> _reply = Text("--reply", "TEXT", "whose last attempt came to a reply with this in it");
        private readonly Option<string> _text = Text("--text", "TEXT", "with bounce and expire: what their senders are told");
        private readonly Option<string> _to = Text("--to", "HOST", "with redirect: the next hop: a host, host:port, an address, or one behind lmtp:");
        private readonly Option<string> _perSecond = Text("--per-second", "NUMBER", "with rate: so many messages a second at most, for each domain, or for all of a site together");
        private readonly Option<string> _until = Text("--until", "TIME", "the end of the rule: a date or a time in UTC (2030-01-31, 2030-01-31T12:00:00Z)");
        private readonly Option<string> _for = Text("--for", "TIME", "the same, from now on: 30m, 12h, 7d");
        private readonly Option<string> _why = Text("--why", "TEXT", "why it is made, for who finds it later");

        public DraftOptions()
        {
            foreach (var time in (Option<string>[])[_older, _for])
                Require(time, typed => Units.TryParseTime(typed, out var span) && span > TimeSpan.Zero, Units.TimeForm);
            Require(_until, typed => TryParseEnd(typed, out _), "a date or a time in UTC such as 2030-01-31 or 2030-01-31T12:00:00Z");
            Require(_perSecond, typed => TryParseRate(typed, out _), "a number, such as 10 or 0.5");
            _for.Validators.Add(result =>
            {
                if (result.GetResult(_until) is { Tokens.Count: > 0 })
                    result.AddError("--for and --until both say when it ends; one of them is enough");
            });
        }

        public void AddTo(Command command)
        {
            foreach (var option in (Option[])[
                _domain, _site, _sender, _senderDomain, _account, _recipient, _message, _older, _reply, _text, _to, _perSecond, _until, _for, _why])
            {
                command.Options.Add(option);
            }
        }

        public RuleDraft Read(ParseResult line, DateTimeOffset now) => new()
        {
            Domain = line.GetValue(_domain),
            Site = line.GetValue(_site),
            Sender = line.GetValue(_sender),
            SenderDomain = line.GetValue(_senderDomain),
            Account = line.GetValue(_account),
            Recipient = line.GetValue(_recipient),
            Message = line.GetValue(_message),
            Older = Units.TryParseTime(line.GetValue(_older) ?? "", out var older) ? older : null,
            Reply = line.GetValue(_reply),
            Text = line.GetValue(_text),
            To = line.GetValue(_to),
            PerSecond = TryParseRate(line.GetValue(_perSecond) ?? "", out var rate) ? rate : null,
            Until = Units.TryParseTime(line.GetValue(_for) ?? "", out var span) ? After(now, span)
                : TryParseEnd(line.GetValue(_until) ?? "", out var end) ? end : null,
            Why = line.GetValue(_why),
        };

        private static Option<string> Text(string name, string help, string description)
        {
            var option = new Option<string>(name) { Description = description, HelpName = help };
            Require(option, typed => typed.Length > 0, "not empty");
            return option;
        }

        private static void Require(Option option, Func<string, bool> isAllowed, string allowed) => option.Validators.Add(result =>
        {
            if (result.Tokens is [var typed] && !isAllowed(typed.Value))
                result.AddError($"{option.Name} is '{typed.Value}'; it must be {allowed}");
        });

        private static DateTimeOffset After(DateTimeOffset now, TimeSpan span) => span < DateTimeOffset.MaxValue - now ? now + span : DateTimeOffset.MaxValue;

        private static bool TryParseEnd(string typed, out DateTimeOffset end) => DateTimeOffset.TryParse(
            typed, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out end);

        private static bool TryParseRate(string typed, out double rate) =>
            double.TryParse(typed, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out rate) && rate > 0;
    }
}
