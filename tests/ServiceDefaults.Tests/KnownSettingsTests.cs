using Microsoft.Extensions.Options;

namespace MailPipeline.ServiceDefaults.Tests;

/// <summary>What there is not is told with its whole way, and with what there is.</summary>
public sealed class KnownSettingsTests
{
    [Theory]
    [InlineData("Mail:Size=1|Mail:Hosts:0=a|Mail:Hosts:1=b|Mail:Doors:0:Port=25|Mail:doors:1:waits:one=00:01:00|Mail:Limit=1|Mail:Door:Port=1")]
    [InlineData("Mail:Sise=1", "There is no setting 'Mail:Sise'; Mail has Size, Limit, Hosts, Doors, Door, Day")]
    [InlineData("Mail:Doors:0:Prot=25", "There is no setting 'Mail:Doors:0:Prot'; Mail:Doors:0 has Port, Waits")]
    [InlineData("Mail:Door:Prot=25", "There is no setting 'Mail:Door:Prot'; Mail:Door has Port, Waits")]
    [InlineData("Mail:Doors:Port=25", "There is no setting 'Mail:Doors:Port'; Mail:Doors is a list, its entries are Mail:Doors:0:Port and so on")]
    [InlineData("Mail:Doors:0=25", "Mail:Doors:0 is '25', but it is no single value; Mail:Doors:0 has Port, Waits")]
    [InlineData("Mail:Doors=25", "Mail:Doors is '25', but it is no single value; Mail:Doors is a list, its entries are Mail:Doors:0:Port and so on")]
    [InlineData("Mail:Hosts=a", "Mail:Hosts is 'a', but it is no single value; Mail:Hosts is a list, its entries are Mail:Hosts:0 and so on")]
    [InlineData("Mail:Size:0=1", "There is no setting 'Mail:Size:0'; Mail:Size is a single value")]
    [InlineData("Mail:Limit:0=1", "There is no setting 'Mail:Limit:0'; Mail:Limit is a single value")]
    [InlineData("Mail:Doors:0:Waits:one:two=1", "There is no setting 'Mail:Doors:0:Waits:one:two'; Mail:Doors:0:Waits:one is a single value")]
    [InlineData(
        "Mail:Door:Prot=25|Mail:Size:0=1",
        "There is no setting 'Mail:Door:Prot'; Mail:Door has Port, Waits; There is no setting 'Mail:Size:0'; Mail:Size is a single value")]
    [InlineData("Mail:Doors:0:Waits:one=soon", "Mail:Doors:0:Waits:one is 'soon'; it must be a time such as 00:05:00, or 2.00:00:00 for two days")]
    [InlineData("Mail:Day=Friday")]
    [InlineData("Mail:Day=9", "Mail:Day is '9'; it must be one of Sunday, Monday, Tuesday, Wednesday, Thursday, Friday, Saturday")]
    [InlineData("Mail:Doors:0:Port=x", "Mail:Doors:0:Port is 'x'; it must be a whole number")]
    public void A_setting_is_known_or_told(string settings, string complaint = "")
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(
            settings.Split('|').Select(setting => setting.Split('=')).Select(pair => KeyValuePair.Create(pair[0], (string?)pair[1]))).Build();

        var refused = Record.Exception(() => configuration.ReadSettings<MailOptions>("Mail"));

        Assert.Equal(complaint, refused is null ? "" : StartupFailure.Explain(Assert.IsType<OptionsValidationException>(refused), configuration));
    }

    private sealed class MailOptions
    {
        public int Size { get; set; }

        public long? Limit { get; set; }

        public IList<string> Hosts { get; init; } = [];

        public IList<Door> Doors { get; init; } = [];

        public Door Door { get; set; } = new();

        public DayOfWeek Day { get; set; }

        internal int Secret { get; set; }
    }

    private sealed class Door
    {
        public int? Port { get; set; }

        public Dictionary<string, TimeSpan> Waits { get; set; } = [];

        public int Computed => Port ?? 25;
    }
}
