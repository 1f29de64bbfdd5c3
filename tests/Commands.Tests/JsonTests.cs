using System.Reflection;
using System.Text.Json;
using MailPipeline.Administration;
using MailPipeline.Mail;

namespace MailPipeline.Commands.Tests;

/// <summary>What programs read: the names of results and properties are promised.</summary>
public sealed class JsonTests : IDisposable
{
    private readonly CommandRun _run = new();

    public void Dispose() => _run.Dispose();

    [Fact]
    public async Task Lists_changes_and_failures_are_objects_with_a_status_and_a_result()
    {
        await ShouldBeAsync("domain add example.org", "",
            """{"status":"done","result":"domainAdded","message":*,"domain":"example.org","hasPostmaster":false,"brokenAliases":[]}""");
        await ShouldBeAsync("domain add example.org", "", """{"status":"notDone","result":"domainAlreadyThere","message":*,"domain":"example.org"}""");
        await ShouldBeAsync("domain add x..y", "", """{"status":"refused","result":"notADomain","message":*}""");
        await ShouldBeAsync("account add ann@example.org", "s3cret-words\n",
            """{"status":"done","result":"accountAdded","message":*,"address":"ann@example.org","postmaster":"postmaster@example.org"}""");
        await ShouldBeAsync("account password ann@example.org", "short\n", """{"status":"refused","result":"passwordTooShort","message":*,"minLength":8}""");
        await ShouldBeAsync("alias add a@example.org gone@example.org", "",
            """{"status":"notDone","result":"aliasFaulty","message":*,"address":"a@example.org","target":"gone@example.org","fault":"notThere","faultyAddress":"gone@example.org","circle":[]}""");
        await ShouldBeAsync("account list", "", """{"status":"done","result":"accounts","accounts":["ann@example.org"]}""");
        await ShouldBeAsync("alias list", "",
            """{"status":"done","result":"aliases","aliases":[{"address":"postmaster@example.org","target":"ann@example.org"}]}""");
        await ShouldBeAsync("account remove ann@example.org", "",
            """{"status":"done","result":"accountRemoved","message":*,"address":"ann@example.org","brokenAliases":[{"address":"postmaster@example.org","target":"ann@example.org"}]}""");
        await ShouldBeAsync("message 1E240", "", """{"status":"notDone","result":"noSuchMessage","message":*,"id":"1E240"}""");
        await ShouldBeAsync("message", "", """{"status":"refused","result":"misused","message":*}""");
        await ShouldBeAsync("queue --MailStore:ClaimLease=soon", "", """{"status":"refused","result":"badStart","message":*}""");
        await ShouldBeAsync("queue flush example.net", "", """{"status":"notDone","result":"nothingToFlush","message":"Nothing waits for example.net","domain":"example.net"}""");
        await ShouldBeAsync("queue pause", "", """{"status":"done","result":"deliveryPaused","message":*}""");
        await ShouldBeAsync("queue resume", "",
            """{"status":"done","result":"deliveryResumed","message":*,"pause":{"reason":"paused","owner":"operator","until":null,"since":*,"operator":*}}""");
        await ShouldBeAsync("queue", "",
            """{"status":"done","result":"queue","pause":null,"waiting":0,"unrouted":0,"batches":0,"unreported":0,"heldBySenders":0,"held":0,"heldMessages":[],"moreHeldMessages":false,"domains":[],"moreDomains":false,"sampledAt":null}""");
        await ShouldBeAsync("queue --by Reason", "", """{"status":"done","result":"queueGroups","by":"reason","countedAt":*,"waiting":0,"groups":[],"more":false}""");
        await ShouldBeAsync("queue list", "", """{"status":"done","result":"queueList","entries":[],"looked":0,"after":null}""");
        await ShouldBeAsync("tls list", "", """{"status":"done","result":"tlsPolicies","policies":[],"morePolicies":false}""");
        await ShouldBeAsync("tls forget Example.NET", "", """{"status":"notDone","result":"noSuchTlsPolicy","message":"No policy of example.net is known","domain":"example.net"}""");
        await ShouldBeAsync("version", "", """{"status":"done","result":"version","version":*}""");
    }

    [Fact]
    public void A_message_has_its_recipients_attempts_waits_and_changes()
    {
        var noon = new DateTimeOffset(2030, 1, 2, 12, 0, 0, TimeSpan.Zero);
        var id = RecipientIds.Of(0x1E240, 0);
        var recipient = new RecipientTimeline(id, "bob@example.net", "", "example.net", RecipientRoute.Remote, RecipientState.Queued, noon, false, noon,
            [new AttemptResult(id, AttemptOutcome.Deferred, "4.2.2", "452 \u001b[31m", "mx.example.net[192.0.2.1]:25", noon, noon, Tls: new AttemptTls("sts", "published", "verified", "TLSv1.3", "TLS_AES_256_GCM_SHA384"), Worker: "delivery-7d4f[10.0.0.7]") { Class = ReplyClass.Quota }]) { ReturnPath = "SRS0=AAAAAAAA=AA=example.com=eve@example.org", Complaint = new(id, 0x1E300, noon, "abuse", "192.0.2.7", "example.net", "bob@example.net", "mx.example.net", IsTrusted: true) };
        var message = new MessageTimeline(0x1E240, noon, "ann@example.org", 7, [], [recipient])
        {
            Audit = [new AuditEntry(OperatorAction.Released, "joe", noon, 1)],
            Reports = [new ReportMade(0x1E241, ReportKind.Delayed, 1, noon, IsDropped: false)],
            Tags = ["list"],
            HoldReason = "header rule paid",
            HeaderId = "1@example.org",
        };

        Assert.Equal(
            """
            {"id":"1E240","acceptedAt":"2030-01-02T12:00:00.000Z","sender":"ann@example.org","headerId":"1@example.org","sizeBytes":7,"envelope":[],"tags":["list"],"holdReason":"header rule paid","releaseAt":null,"wait":null,"recipients":[{"address":"bob@example.net","original":"","domain":"example.net","site":"","returnPath":"SRS0=AAAAAAAA=AA=example.com=eve@example.org","route":"remote","state":"queued","updatedAt":"2030-01-02T12:00:00.000Z","wait":{"reason":"backsOff","owner":"domainQueue","until":"2030-01-02T14:00:00.000Z","backoffUntil":"2030-01-02T13:00:00.000Z","cause":"no route"},"complaint":{"type":"abuse","reporter":"example.net","host":"mx.example.net","source":"192.0.2.7","recipient":"bob@example.net","reportId":"1E300","at":"2030-01-02T12:00:00.000Z","isTrusted":true},"attempts":[{"outcome":"deferred","status":"4.2.2","reply":"452 \u001B[31m","class":"quota","host":"mx.example.net[192.0.2.1]:25","worker":"delivery-7d4f[10.0.0.7]","startedAt":"2030-01-02T12:00:00.000Z","finishedAt":"2030-01-02T12:00:00.000Z","tls":{"policy":"sts","source":"published","certificate":"verified","protocol":"TLSv1.3","cipher":"TLS_AES_256_GCM_SHA384"}}]}],"reports":[{"kind":"delayed","id":"1E241","recipients":1,"at":"2030-01-02T12:00:00.000Z","isDropped":false}],"changes":[{"action":"released","operator":"joe","at":"2030-01-02T12:00:00.000Z","recipients":1}]}
            """,
            Write(MessageReply.Of(new MessageFound(message, [new TracedRecipient(recipient, new BacksOff(noon.AddHours(1), "no route", noon.AddHours(2)))], null))));
    }

    [Fact]
    public void What_waits_has_the_same_words_in_lists_and_groups()
    {
        var noon = new DateTimeOffset(2030, 1, 2, 12, 0, 0, TimeSpan.Zero);
        var last = new LastAttempt("4.2.2", "452 full", "mx1");
        var listing = new QueueListing(
            [
                new QueueEntry(0x1E240, "ann@example.org", ["bob@example.net"], "example.net", noon, new NextAttempt(noon.AddHours(1), last), 2, last),
                new QueueEntry(0x1E241, "", ["joe@example.net"], "example.net", noon, new NoWorker("deliver", BusRefuses: true, noon), 0, null),
                new QueueEntry(0x1E242, "", ["joe@example.net"], "example.net", noon, new DomainLimit(5), 0, null),
            ], 7, null);
        Assert.Equal(
            """
            {"entries":[{"id":"1E240","acceptedAt":"2030-01-02T12:00:00.000Z","sender":"ann@example.org","recipients":["bob@example.net"],"domain":"example.net","wait":{"reason":"nextAttempt","owner":"retrySchedule","until":"2030-01-02T13:00:00.000Z","after":{"status":"4.2.2","reply":"452 full","host":"mx1"}},"attempts":2,"last":{"status":"4.2.2","reply":"452 full","host":"mx1"}},{"id":"1E241","acceptedAt":"2030-01-02T12:00:00.000Z","sender":"","recipients":["joe@example.net"],"domain":"example.net","wait":{"reason":"noWorker","owner":"worker","until":null,"endpoint":"deliver","busRefuses":true,"since":"2030-01-02T12:00:00.000Z"},"attempts":0,"last":null},{"id":"1E242","acceptedAt":"2030-01-02T12:00:00.000Z","sender":"","recipients":["joe@example.net"],"domain":"example.net","wait":{"reason":"domainLimit","owner":"domainQueue","until":null,"batches":5},"attempts":0,"last":null}],"looked":7,"after":null}
            """, Write(QueueListReply.Of(listing, noon)));

        var groups = new QueueGroups(
            WaitingBy.Domain, noon, noon.AddSeconds(3), 9, [new("example.net", 9, 1, noon, new Due(), 8, null, "452 full")], HasMore: true);
        var reply = QueueReply.Of(groups);
        Assert.Equal(
            """
            {"by":"domain","countedAt":"2030-01-02T12:00:00.000Z","waiting":9,"groups":[{"key":"example.net","waiting":9,"beingTried":1,"due":8,"oldest":"2030-01-02T12:00:00.000Z","nextAttempt":null,"wait":{"reason":"due","owner":"domainQueue","until":null},"lastReply":"452 full"}],"more":true}
            """, Write(reply));
        Assert.Equal("9 wait, as of 3 s ago", Assert.IsType<LinePart>(reply.Parts[0]).Text);
    }

    [Fact]
    public void A_policy_is_shown_with_its_hosts_and_its_end()
    {
        var noon = new DateTimeOffset(2030, 1, 2, 12, 0, 0, TimeSpan.Zero);
        var reply = TlsCommands.Of(new TlsPolicyList(
            [new StoredStsPolicy("example.net", "7", "version: STSv1\nmode: enforce\nmx: mx1.example.net\nmx: *.example.net\nmax_age: 60", noon, noon.AddDays(1), noon, noon)], HasMore: true));
        Assert.Equal(
            """{"policies":[{"domain":"example.net","id":"7","policy":["version: STSv1","mode: enforce","mx: mx1.example.net","mx: *.example.net","max_age: 60"],"fetchedAt":"2030-01-02T12:00:00.000Z","expiresAt":"2030-01-03T12:00:00.000Z","usedAt":"2030-01-02T12:00:00.000Z"}],"morePolicies":true}""",
            Write(reply));
        Assert.Equal(
            ["example.net", "enforce", "mx1.example.net, *.example.net", "2030-01-02T12:00:00Z", "2030-01-03T12:00:00Z", "2030-01-02T12:00:00Z"],
            Assert.Single(Assert.IsType<TablePart>(reply.Parts[0]).Rows));
    }

    /// <summary>A result that somebody adds has words and a name, or the build of its reply throws.</summary>
    [Fact]
    public void Every_result_has_words_and_a_name_of_its_own()
    {
        var names = new List<string>();
        foreach (var type in typeof(DirectoryResult).Assembly.GetTypes().Where(type => !type.IsAbstract))
        {
            if (type.IsSubclassOf(typeof(DirectoryResult)))
                names.Add(DirectoryReply.Of((DirectoryResult)Make(type)).Result);
            else if (type.IsSubclassOf(typeof(MessageResult)) && type != typeof(MessageFound))
                names.Add(MessageReply.Of((MessageResult)Make(type)).Result);
            else if (type.IsSubclassOf(typeof(QueueResult)))
                names.Add(QueueReply.Of((QueueResult)Make(type)).Result);
            else if (type.IsSubclassOf(typeof(TlsPolicyResult)))
                names.Add(TlsCommands.Of((TlsPolicyResult)Make(type)).Result);
            else if (type.IsSubclassOf(typeof(RuleResult)))
                names.Add(RuleReply.Of((RuleResult)Make(type), DateTimeOffset.UnixEpoch).Result);
            else if (type.IsSubclassOf(typeof(SuppressionResult)))
                names.Add(SuppressionReply.Of((SuppressionResult)Make(type)).Result);
            else if (type.IsSubclassOf(typeof(WaitReason)))
                Assert.All([MailText.Of((WaitReason)Make(type), "x"), MailText.InCell((WaitReason)Make(type))], Assert.NotEmpty);
        }
        Assert.InRange(names.Count, 30, 200);
        // Both are told of the same change: one has been done in part.
        Assert.Equal(names.Except(["messageHeld"]).Order(), names.Except(["messageHeld"]).Distinct().Order());
    }

    private static readonly QueueRule s_rule = new("x", RuleAct.Hold, new RuleConditions { Domain = new("example.net") }, "x");

    /// <summary>Whatever is wrong with a rule is said.</summary>
    [Fact]
    public void Every_fault_of_a_rule_has_words() => Assert.All(
        Enum.GetValues<RuleFault>(), fault => Assert.Contains(
            " must be ", RuleReply.Of(new NotARule(fault, RuleAct.Hold, "x"), DateTimeOffset.UnixEpoch).Sentence, StringComparison.Ordinal));

    private static object Make(Type type)
    {
        var constructor = type.GetConstructors(BindingFlags.Public | BindingFlags.Instance).MaxBy(one => one.GetParameters().Length)!;
        return constructor.Invoke([.. constructor.GetParameters().Select(parameter => ValueOf(parameter.ParameterType))]);

        static object ValueOf(Type type) =>
            type == typeof(string) ? "x"
            : type == typeof(Alias) ? new Alias("a@example.org", "b@example.org")
            : type == typeof(LastAttempt) ? new LastAttempt("4.2.2", "x", "x")
            : type == typeof(Paused) ? new Paused(DateTimeOffset.UnixEpoch, "x")
            : type == typeof(OperatorAction) ? OperatorAction.Held
            : type == typeof(QueueRule) ? s_rule
            : type == typeof(CountedRule) ? new CountedRule(s_rule, new RuleCount(2, 1, 1, 3, IsExact: false))
            : type == typeof(Suppression) ? new Suppression("x", "x", SuppressionCause.Reply, "x", DateTimeOffset.UnixEpoch, null)
            : type == typeof(SuppressingSender) ? new SuppressingSender("x", null, DateTimeOffset.UnixEpoch, "x")
            : Nullable.GetUnderlyingType(type) is { } value ? Activator.CreateInstance(value)!
            : type.IsGenericType ? Array.CreateInstance(type.GetGenericArguments()[0], 0)
            : Activator.CreateInstance(type)!;
    }

    private async Task ShouldBeAsync(string line, string input, string expected)
    {
        var (exitCode, json) = await _run.RunJsonAsync(line, input);
        Assert.Equal(json.GetProperty("status").GetString() switch { "done" => 0, "notDone" => 1, _ => 2 }, exitCode);
        var pattern = System.Text.RegularExpressions.Regex.Escape(expected).Replace(@"\*", "\"[^\"]+\"", StringComparison.Ordinal);
        Assert.Matches($"^{pattern}$", json.GetRawText());
    }

    private static string Write(Reply reply)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            reply.Properties(json);
            json.WriteEndObject();
        }
        return System.Text.Encoding.UTF8.GetString(buffer.ToArray());
    }
}
