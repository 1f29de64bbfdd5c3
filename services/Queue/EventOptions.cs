using System.ComponentModel.DataAnnotations;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;
using Microsoft.Extensions.Options;

namespace MailPipeline.Queue;

/// <summary>Who is told what becomes of mail, and where complaints come to. Section "Events".</summary>
public sealed class EventOptions
{
    public const string SectionName = "Events";

    /// <summary>The name of the bus among receivers.</summary>
    internal const string BusName = "bus";

    private const int MostWebhooks = 50;

    /// <summary>Pages that events are posted to. Default: none.</summary>
    public IList<WebhookOptions> Webhooks { get; init; } = [];

    /// <summary>Events are put on the bus too, for whoever binds a queue to their exchange. Default false.</summary>
    public bool Bus { get; set; }

    /// <summary>How long an event waits for a receiver who takes none, before it is dropped. Default 3 days.</summary>
    [Range(typeof(TimeSpan), "00:01:00", "60.00:00:00")]
    public TimeSpan Retention { get; set; } = TimeSpan.FromDays(3);

    /// <summary>Most events that wait for one receiver; of more the oldest are dropped. Default 5,000,000, some 2 GB.</summary>
    [Range(1000.0, 1e9)]
    public long MostWaiting { get; set; } = 5_000_000;

    /// <summary>Addresses of ours to which providers send complaints of their users (RFC 5965). Default: none.</summary>
    public IList<string> FeedbackAddresses { get; init; } = [];

    /// <summary>
    /// Domains whose complaints put recipients on suppression lists, and are believed for recipients of any domain, and those below them; those of others are told, of their own
    /// recipients, and keep nobody from mail.
    /// Default: none.
    /// </summary>
    public IList<string> FeedbackFrom { get; init; } = [];

    internal int Receivers => Webhooks.Count + (Bus ? 1 : 0);

    internal void Validate(List<string> failures)
    {
        if (Webhooks.Count > MostWebhooks)
            failures.Add($"{SectionName}:{nameof(Webhooks)} has {Webhooks.Count} entries; it may have {MostWebhooks}");
        var names = new HashSet<string>(StringComparer.OrdinalIgnoreCase) { BusName };
        for (var i = 0; i < Webhooks.Count; i++)
        {
            var setting = $"{SectionName}:{nameof(Webhooks)}:{i}";
            Webhooks[i].Validate(setting, failures);
            if (!names.Add(Webhooks[i].Name))
                failures.Add($"{setting}:{nameof(WebhookOptions.Name)} is '{Webhooks[i].Name}', as that of another receiver; each must have its own");
        }

        for (var i = 0; i < FeedbackAddresses.Count; i++)
        {
            if (!SmtpAddress.TryParse(FeedbackAddresses[i], out var address, allowUtf8: true) || !address!.HasDomain)
                failures.Add($"{SectionName}:{nameof(FeedbackAddresses)}:{i} is '{FeedbackAddresses[i]}'; it must be a mail address with a domain, such as fbl@example.org");
        }

        ValidateDomains($"{SectionName}:{nameof(FeedbackFrom)}", FeedbackFrom, failures);
    }

    internal static void ValidateDomains(string setting, IList<string> domains, List<string> failures)
    {
        for (var i = 0; i < domains.Count; i++)
        {
            if (DomainName.ToAscii(domains[i]) is not { } name || !SmtpAddress.TryParse($"x@{name}", out var address) || address!.HasAddressLiteral)
                failures.Add($"{setting}:{i} is '{domains[i]}'; it must be a domain name such as example.org");
        }
    }
}

/// <summary>A page that events are posted to.</summary>
public sealed class WebhookOptions
{
    private const int MaxName = 32;

    /// <summary>By which logs, metrics and commands call it, and what waits for it is kept: lower case letters, digits and '-', up to 32.</summary>
    public string Name { get; set; } = "";

    /// <summary>Where to: an operator's own choice, wherever that is. A redirect is not followed.</summary>
    public string Url { get; set; } = "";

    /// <summary>Posts may go without TLS: whoever is on the way reads them. Default false.</summary>
    public bool AllowHttp { get; set; }

    /// <summary>The key that posts are signed with: 24 to 64 octets in base64, with 'whsec_' before it or not; two with a space between while it is changed.</summary>
    public string Secret { get; set; } = "";

    /// <summary>The same in a file, one in a line, which is read again when it changes.</summary>
    public string SecretFile { get; set; } = "";

    /// <summary>Which events. Default: all.</summary>
    public IList<EventKind> Kinds { get; init; } = [];

    /// <summary>Only of mail that these accounts have submitted. Default: of all.</summary>
    public IList<string> Accounts { get; init; } = [];

    /// <summary>Only of mail whose envelope sender is of these domains. Default: of all.</summary>
    public IList<string> SenderDomains { get; init; } = [];

    /// <summary>Longest wait for the answer to a post. Default 10 s.</summary>
    public TimeSpan Timeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>Most events of one post. Default 100.</summary>
    public int BatchEvents { get; set; } = 100;

    internal IEnumerable<EventKind> WantedKinds => Kinds.Count > 0 ? Kinds : Enum.GetValues<EventKind>();

    internal void Validate(string setting, List<string> failures)
    {
        if (Name.Length is 0 or > MaxName || !Name.All(letter => char.IsAsciiLetterLower(letter) || char.IsAsciiDigit(letter) || letter == '-'))
            failures.Add($"{setting}:{nameof(Name)} is '{Name}'; it must be lower case letters, digits and '-', up to {MaxName} of them");
        if (!Uri.TryCreate(Url, UriKind.Absolute, out var url) || url.UserInfo.Length > 0 || !(url.Scheme == Uri.UriSchemeHttps || (url.Scheme == Uri.UriSchemeHttp && AllowHttp)))
            failures.Add($"{setting}:{nameof(Url)} {Shown(url)}; it must be https://HOST/PATH without a user, or http:// with {nameof(AllowHttp)}");
        if ((Secret.Length > 0) == (SecretFile.Length > 0))
            failures.Add($"{setting}:{nameof(Secret)} or {setting}:{nameof(SecretFile)} must be set, and one of them");
        else if (WebhookSecret.FaultOf(this) is { } fault)
            failures.Add($"{setting}:{(Secret.Length > 0 ? nameof(Secret) : $"{nameof(SecretFile)} is '{SecretFile}'")}: {fault}");
        for (var i = 0; i < Accounts.Count; i++)
        {
            if (!SmtpAddress.TryParse(Accounts[i], out var address, allowUtf8: true) || !address!.HasDomain)
                failures.Add($"{setting}:{nameof(Accounts)}:{i} is '{Accounts[i]}'; it must be the address of an account");
        }

        EventOptions.ValidateDomains($"{setting}:{nameof(SenderDomains)}", SenderDomains, failures);
        if (Timeout < TimeSpan.FromMilliseconds(100) || Timeout > TimeSpan.FromMinutes(1))
            failures.Add($"{setting}:{nameof(Timeout)} is {Timeout}; it must be 100 ms to 1 min");
        if (BatchEvents is < 1 or > 1000)
            failures.Add($"{setting}:{nameof(BatchEvents)} is {BatchEvents}; it must be 1 to 1000");
    }

    /// <summary>User, path and query may be what lets somebody in.</summary>
    private string Shown(Uri? url) => Url.Length == 0 ? "is ''"
        : url is { Host.Length: > 0 } ? $"is '{url.GetComponents(UriComponents.SchemeAndServer, UriFormat.UriEscaped)}/...'"
        : $"is no URL that can be shown ({Url.Length} characters)";
}

[OptionsValidator]
internal sealed partial class EventOptionsValidator : IValidateOptions<EventOptions>;

/// <summary>Rules over more than one setting.</summary>
internal sealed class EventOptionsRules(IConfiguration configuration) : IValidateOptions<EventOptions>
{
    public ValidateOptionsResult Validate(string? name, EventOptions options)
    {
        var failures = new List<string>();
        options.Validate(failures);
        if (options.Bus && string.IsNullOrWhiteSpace(configuration.GetConnectionString(BusHosting.ConnectionName)))
            failures.Add($"{EventOptions.SectionName}:{nameof(EventOptions.Bus)} is true, and there is no bus for others: ConnectionStrings:{BusHosting.ConnectionName} must name one");
        return failures.Count > 0 ? ValidateOptionsResult.Fail(failures) : ValidateOptionsResult.Success;
    }
}
