using System.ComponentModel.DataAnnotations;
using System.Globalization;
using System.Reflection;
using MailPipeline.Ingress;
using MailPipeline.Mailbox;
using MailPipeline.Queue;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Standalone.Tests;

/// <summary>No number that can be written as a setting ends the program in any other way than by a sentence.</summary>
public sealed class SettingRangeTests : IDisposable
{
    private readonly DataFolderRun _run = new();

    public void Dispose() => _run.Dispose();

    /// <summary>An attribute with bounds of type int throws at a long that is larger.</summary>
    [Fact]
    public void Every_range_can_judge_every_number_of_its_setting()
    {
        string[] assemblies = ["Ingress", "Queue", "Delivery", "Mailbox", "ServiceDefaults", "Storage", "Mail"];
        var ranged = assemblies.SelectMany(name => Assembly.Load($"MailPipeline.{name}").GetTypes()).SelectMany(type => type.GetProperties())
            .Where(property => property.GetCustomAttribute<RangeAttribute>() is not null).ToList();
        Assert.InRange(ranged.Count, 30, 1000);
        foreach (var property in ranged)
        {
            var range = property.GetCustomAttribute<RangeAttribute>()!;
            foreach (var value in Extremes(property.PropertyType))
            {
                var thrown = Record.Exception(() => range.IsValid(value));
                Assert.True(thrown is null, $"{property.DeclaringType!.Name}.{property.Name} = {string.Create(CultureInfo.InvariantCulture, $"{value}")}: {thrown?.Message}");
            }
        }
    }

    [Theory]
    [InlineData("Ingress:MaxMessageBytes=3GB")]
    [InlineData("Delivery:TransactionRateBytes=3GB")]
    [InlineData("Ingress:MaxQueued=3000000000")]
    [InlineData("Queue:RetryJitter=NaN")]
    [InlineData("Queue:RetryJitter=1e400")]
    public async Task A_number_out_of_range_is_one_line_and_exit_code_2(string setting)
    {
        var result = await _run.RunAsync($"--{setting}");
        Assert.Equal(2, result.ExitCode);
        Assert.Contains(setting[..setting.IndexOf('=', StringComparison.Ordinal)].Split(':')[1], result.Error, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', result.Error.TrimEnd());
    }

    [Theory]
    [InlineData("Ingress:HostName")]
    [InlineData("Queue:HostName")]
    [InlineData("Delivery:HostName")]
    public async Task A_host_name_that_is_none_is_one_line_and_exit_code_2(string setting)
    {
        var result = await _run.RunAsync($"--{setting}=bad name");
        Assert.Equal(
            new ProgramResult(2, "", $"{setting} is 'bad name'; it must be a domain name such as mx.example.org, or an address in brackets"), result);
    }

    [Fact]
    public void Every_port_is_known_before_it_is_bound_set_or_not()
    {
        var configuration = new ConfigurationBuilder()
            .AddInMemoryCollection([new("Ingress:Listeners:0:Kind", "Submission"), new("Mailbox:Listeners:0:Address", "::1")]).Build();
        var ports = configuration.FindPorts(services =>
        {
            services.AddServiceDefaultSettings();
            services.AddQueueSettings();
            services.AddMailboxSettings();
            services.AddIngressSettings();
        });
        Assert.Equal<ListeningPort>(
            [
                new ListeningPort("Http:Port", "Http:Address", "127.0.0.1", 8080),
                new ListeningPort("Queue:SiloPort", "POD_IP", "127.0.0.1", 11111),
                new ListeningPort("Mailbox:Listeners:0:Port", "Mailbox:Listeners:0:Address", "::1", 110),
                new ListeningPort("Ingress:Listeners:0:Port", "Ingress:Listeners:0:Address", "127.0.0.1", 587),
            ],
            ports);
    }

    [Theory]
    [InlineData("--bogus")]
    [InlineData("--Ingress")]
    public void What_there_is_not_is_said_to_be_so_with_or_without_a_value(string option)
    {
        var fault = Assert.Throws<CommandLineException>(() => Arguments.Parse([option]));
        Assert.DoesNotContain("needs a value", fault.Message, StringComparison.Ordinal);
    }

    private static IEnumerable<object> Extremes(Type type) =>
        type == typeof(int) ? [int.MinValue, int.MaxValue]
        : type == typeof(long) ? [long.MinValue, long.MaxValue]
        : type == typeof(double) ? [double.MinValue, double.MaxValue, double.NaN, double.PositiveInfinity]
        : type == typeof(TimeSpan) ? [TimeSpan.MinValue, TimeSpan.MaxValue]
        : throw new InvalidOperationException($"extremes of {type} are not known");
}
