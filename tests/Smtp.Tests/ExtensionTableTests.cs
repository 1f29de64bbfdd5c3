namespace MailPipeline.Smtp.Tests;

public sealed class ExtensionTableTests
{
    public static TheoryData<ListenerKind, bool> Listeners { get; } = new(
        Enum.GetValues<ListenerKind>().SelectMany(kind => new[] { (kind, false), (kind, true) }));

    [Fact]
    public void The_readme_shows_the_table_as_it_is()
    {
        string[] table =
        [
            "| line of EHLO | " + string.Join(" | ", Enum.GetNames<ListenerKind>().Select(kind => $"`{kind}`")) + " | parameters of MAIL | of RCPT | |",
            "| --- | --- | --- | --- | --- | --- | --- |",
            .. ExtensionTable.All.Select(Row),
        ];
        var readme = File.ReadAllText(Path.Combine(Root(), "services", "Ingress", "README.md"));
        Assert.Contains(string.Join('\n', table), readme, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(ListenerKind.Mx, false, "STARTTLS, PIPELINING, DSN, 8BITMIME, SIZE 15728640, ENHANCEDSTATUSCODES, CHUNKING, DELIVERBY, LIMITS RCPTMAX=1000")]
    [InlineData(ListenerKind.Mx, true, "PIPELINING, DSN, 8BITMIME, SIZE 15728640, ENHANCEDSTATUSCODES, CHUNKING, DELIVERBY, REQUIRETLS, LIMITS RCPTMAX=1000")]
    [InlineData(ListenerKind.Submission, false, "STARTTLS, ETRN, PIPELINING, DSN, 8BITMIME, SIZE 15728640, ENHANCEDSTATUSCODES, CHUNKING, MT-PRIORITY, DELIVERBY, LIMITS RCPTMAX=1000")]
    [InlineData(
        ListenerKind.Submission, true,
        "ETRN, AUTH=LOGIN PLAIN, AUTH LOGIN PLAIN, PIPELINING, DSN, 8BITMIME, SIZE 15728640, ENHANCEDSTATUSCODES, CHUNKING, MT-PRIORITY, DELIVERBY, REQUIRETLS, LIMITS RCPTMAX=1000")]
    public void Ehlo_prints_the_column_of_its_listener(ListenerKind kind, bool isTls, string lines) =>
        Assert.Equal(["mx.example.com", .. lines.Split(", ")], Profile(kind).Offered(isTls ? ClientTraits.Tls : ClientTraits.None).EhloReply.Lines);

    [Theory]
    [InlineData("LOGIN PLAIN SCRAM-SHA-256", "AUTH=LOGIN PLAIN", "AUTH LOGIN PLAIN SCRAM-SHA-256")]
    [InlineData("SCRAM-SHA-256 PLAIN", "AUTH=PLAIN", "AUTH SCRAM-SHA-256 PLAIN")]
    // Clients from before RFC 2554 know nothing that was made since.
    [InlineData("LOGIN OAUTHBEARER XOAUTH2", "AUTH=LOGIN", "AUTH LOGIN OAUTHBEARER XOAUTH2")]
    [InlineData("SCRAM-SHA-256", "AUTH SCRAM-SHA-256")]
    public void Ehlo_names_the_mechanisms_that_are_offered_in_their_order(string names, params string[] lines)
    {
        var profile = new SmtpProfile { HostName = "mx.example.com", OffersAuth = true, OffersOldAuth = true, Mechanisms = Sasl.SaslMechanism.Named(names)! };
        Assert.Equal(lines, profile.Offered(ClientTraits.Tls).EhloReply.Lines.Where(line => line.StartsWith("AUTH", StringComparison.Ordinal)));
    }

    [Fact]
    public void The_old_form_of_AUTH_is_printed_only_where_it_is_asked_for_and_AUTH_is_offered()
    {
        SmtpProfile[] profiles =
        [
            new() { HostName = "mx.example.com", OffersAuth = true },
            new() { HostName = "mx.example.com", OffersOldAuth = true },
        ];
        Assert.All(profiles, profile => Assert.DoesNotContain(profile.Offered(ClientTraits.Tls).EhloReply.Lines, line => line.StartsWith("AUTH=", StringComparison.Ordinal)));
    }

    /// <summary>RFC 5321 §4.1.1.11: 555 for what EHLO did not offer.</summary>
    [Theory]
    [MemberData(nameof(Listeners))]
    public void A_parameter_is_known_exactly_where_its_extension_is_offered(ListenerKind kind, bool isTls)
    {
        var profile = Profile(kind);
        Assert.NotEmpty(ExtensionTable.All.SelectMany(extension => extension.Mail));
        foreach (var extension in ExtensionTable.All)
        {
            var isOffered = profile.Offered(isTls ? ClientTraits.Tls : ClientTraits.None).EhloReply.Lines.Contains(extension.LineOf(profile));
            foreach (var parameter in extension.Mail)
                Assert.Equal(isOffered, Answer(profile, isTls, $"MAIL FROM:<a@example.net> {parameter.Keyword}") != Replies.C555BadParameter);
            foreach (var parameter in extension.Rcpt)
                Assert.Equal(isOffered, Answer(profile, isTls, $"RCPT TO:<b@example.com> {parameter.Keyword}") != Replies.C555BadParameter);
        }
    }

    [Theory]
    [InlineData("MAIL FROM:<a@example.net> X", "555 5.5.4")]
    [InlineData("MAIL FROM:<a@example.net> SIZ=1", "555 5.5.4")]
    [InlineData("MAIL FROM:<a@example.net> SIZES=1", "555 5.5.4")]
    [InlineData("MAIL FROM:<a@example.net> =1", "555 5.5.4")]
    [InlineData("MAIL FROM:<a@example.net> SIZE", "501 5.5.4")]
    [InlineData("MAIL FROM:<a@example.net> SIZE=", "501 5.5.4")]
    [InlineData("MAIL FROM:<a@example.net> SIZE=+1", "501 5.5.4")]
    [InlineData("MAIL FROM:<a@example.net> SIZE=1_2", "501 5.5.4")]
    [InlineData("MAIL FROM:<a@example.net> SIZE=000000000000000000001", "501 5.5.4")]
    [InlineData("RCPT TO:<b@example.com> SIZE=1", "555 5.5.4")]
    [InlineData("RCPT TO:<b@example.com>SIZE=1", "501 5.5.4")]
    public void A_parameter_is_judged_by_its_name_and_then_by_its_value(string command, string reply) =>
        Assert.StartsWith(reply, Answer(Profile(ListenerKind.Mx), isTls: true, command).ToString(), StringComparison.Ordinal);

    private static SmtpProfile Profile(ListenerKind kind) => new()
    {
        Kind = kind,
        HostName = "mx.example.com",
        MaxMessageBytes = 15_728_640,
        OffersStartTls = true,
        OffersAuth = kind == ListenerKind.Submission,
        OffersOldAuth = kind == ListenerKind.Submission,
    };

    /// <summary>The reply to a command of a client that has greeted, and before RCPT said MAIL.</summary>
    private static SmtpReply Answer(SmtpProfile profile, bool isTls, string command)
    {
        var session = new SmtpSession(profile);
        if (isTls)
            session.TlsStarted();
        session.Read(Wire.Bytes($"{(profile.Kind == ListenerKind.Lmtp ? "LHLO" : "EHLO")} client.example.net"));
        if (command.StartsWith("RCPT", StringComparison.Ordinal))
        {
            session.Read("MAIL FROM:<a@example.net>"u8);
            session.Answer(null);
        }

        var step = session.Read(Wire.Bytes(command));
        return (step.Reply is null ? session.Answer(null) : step).Reply!;
    }

    private static string Row(SmtpExtension extension) =>
        $"| `{extension.Line}{(!extension.HasValue ? "" : extension.Line.EndsWith('=') ? "..." : " ...")}` | {string.Join(" | ", extension.Offers.Select(offer => offer.Words))}"
        + $" | {Keywords(extension.Mail.Select(parameter => parameter.Keyword))} | {Keywords(extension.Rcpt.Select(parameter => parameter.Keyword))} | {extension.Source} |";

    private static string Keywords(IEnumerable<string> keywords) => string.Join(", ", keywords.Select(keyword => $"`{keyword}`"));

    private static string Root()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "MailPipeline.sln")))
            folder = folder.Parent ?? throw new DirectoryNotFoundException($"No MailPipeline.sln above {AppContext.BaseDirectory}");
        return folder.FullName;
    }
}
