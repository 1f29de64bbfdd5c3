using MailPipeline.Ingress.Checks;
using MailPipeline.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace MailPipeline.Ingress.Tests;

/// <summary>The file with the policy: what is wrong in it, and what becomes of it when it changes.</summary>
public sealed class PolicyFileTests
{
    private const string EarlyTalkers = """{ "EarlyTalkers": { "Wait": "5s" } }""";

    [Theory]
    [InlineData("{", "it is no JSON of settings: ")]
    [InlineData("[]", "it is no JSON of settings: ")]
    [InlineData("""{ "DnsList": { "RefuseFrom": 1 } }""", "There is no setting 'Policy:DnsList'; Policy has DnsLists, ")]
    [InlineData("""{ "DnsLists": { "RefuseFrom": -1 } }""", "Policy:DnsLists:RefuseFrom is -1; it must be 0 to 1000")]
    [InlineData("""{ "DnsLists": { "MaxWait": "1m" } }""", "Policy:DnsLists:MaxWait is 00:01:00; it must be 00:00:00.1000000 to 00:00:30")]
    [InlineData("""{ "DnsLists": { "Lists": [ { "Zone": "a b" } ] } }""", "Policy:DnsLists:Lists:0:Zone is 'a b'; it must be a domain name such as list.example.org")]
    [InlineData("""{ "DnsLists": { "Lists": [ { "Zone": "a.example", "Weight": 0 } ] } }""", "Policy:DnsLists:Lists:0:Weight is 0; it must be -1000 to 1000, and not 0")]
    [InlineData("""{ "DnsLists": { "Lists": [ { "Zone": "a.example", "Codes": [ "2" ] } ] } }""", "Policy:DnsLists:Lists:0:Codes:0 is '2'; it must be an address in 127.0.0.0/8, a network or a range such as 127.0.0.2-127.0.0.11")]
    [InlineData("""{ "ClientHost": { "NoName": "Drop" } }""", "Policy:ClientHost:NoName is 'Drop'; it must be one of Accept, Tag, Refuse")]
    [InlineData("""{ "EarlyTalkers": { "Wait": "soon" } }""", "Policy:EarlyTalkers:Wait is 'soon'; it must be a time such as 5m, 1h30m, 2d or 00:05:00")]
    [InlineData("""{ "EarlyTalkers": { "Verdict": "Accept" } }""", "Policy:EarlyTalkers:Verdict is Accept; it must be one of Tag, Refuse")]
    public async Task What_is_wrong_stops_the_start_and_is_said_with_its_name(string json, string expected)
    {
        using var policy = new WrittenPolicy(json);
        var failure = await Assert.ThrowsAsync<OptionsValidationException>(async () => await policy.StartAsync());
        Assert.Contains(failure.Failures, said => said.StartsWith($"Ingress:Checks:PolicyFile is '{policy.Path}': {expected}", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_file_that_is_not_there_or_too_large_stops_the_start()
    {
        using var policy = new WrittenPolicy(new string(' ', 10 * 1024 * 1024));
        var failure = await Assert.ThrowsAsync<OptionsValidationException>(async () => await policy.StartAsync());
        Assert.Contains($"Ingress:Checks:PolicyFile is '{policy.Path}': the policy has more than 1048576 octets", failure.Failures);
        File.Delete(policy.Path);
        failure = await Assert.ThrowsAsync<OptionsValidationException>(async () => await policy.StartAsync());
        Assert.Contains(failure.Failures, said => said.StartsWith($"Ingress:Checks:PolicyFile is '{policy.Path}', which cannot be read: ", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_change_counts_at_once_and_what_is_wrong_changes_nothing()
    {
        using var policy = new WrittenPolicy("{}");
        await using var host = await policy.StartAsync();
        using var reads = host.Metric<long>("mailpipeline.ingress.policy_reads");
        var file = host.Services.GetRequiredService<PolicyFile>();
        Assert.Null(file.Current.EarlyTalkers);

        policy.Write(EarlyTalkers);
        file.Look();
        Assert.Equal(TimeSpan.FromSeconds(5), file.Current.EarlyTalkers!.Wait);
        var before = file.Current;
        policy.Write("""{ "EarlyTalkers": { "Wait": "1h" } }""");
        file.Look();
        file.Look();
        Assert.Same(before, file.Current);
        File.Delete(policy.Path);
        file.Look();
        Assert.Same(before, file.Current);
        policy.Write("{}");
        file.Look();
        Assert.Null(file.Current.EarlyTalkers);
        Assert.Equal(
            ["taken", "refused", "refused", "taken"],
            reads.GetMeasurementSnapshot().Select(said => (string)said.Tags["result"]!));
    }

    [Fact]
    public async Task It_is_looked_at_by_itself()
    {
        using var policy = new WrittenPolicy("{}");
        await using var host = await policy.StartAsync();
        policy.Write(EarlyTalkers);
        await Eventually.TrueAsync(() => host.Services.GetRequiredService<PolicyFile>().Current.EarlyTalkers is not null, TimeSpan.FromSeconds(20));
    }
}
