using Microsoft.Extensions.Options;

namespace MailPipeline.ServiceDefaults.Tests;

/// <summary>What there is not is told with its whole way, and with what there is.</summary>
public sealed class KnownSettingsTests
{
    [Theory]
    [InlineData("Mail:Size=1|Mail:Hosts:0=a|Mail:Hosts:1=b|Mail:Doors:0:Port=25|Mail:doors:1:waits:one=00:01:00|Mail:Limit=1|Mail:Door:Port=1")]
    [InlineData("Mail:Sise=1", "There is no setting 'Mail:Sise'; Mail has Size, Limit, RoomBytes, Hosts, Doors, Door, Day")]
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
    [InlineData("Mail:Doors:0:Waits:one=soon", "Mail:Doors:0:Waits:one is 'soon'; it must be a time such as 5m, 1h30m, 2d or 00:05:00")]
    [InlineData("Mail:Day=Friday")]
    [InlineData("Mail:Day=9", "Mail:Day is '9'; it must be one of Sunday, Monday, Tuesday, Wednesday, Thursday, Friday, Saturday")]
    [InlineData("Mail:Doors:0:Port=x", "Mail:Doors:0:Port is 'x'; it must be a whole number")]
    public void A_setting_is_known_or_told(string settings, string complaint = "")
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(
            settings.Split('|').Select(setting => setting.Split('=')).Select(pair => KeyValuePair.Create(pair[0], (string?)pair[1]))).Build();

        var refused = Record.Exception(() => configuration.ReadSettings<MailStoreOptions>("Mail"));

        Assert.Equal(complaint, refused is null ? "" : StartupFailure.Explain(Assert.IsType<OptionsValidationException>(refused), configuration));
    }

    [Theory]
    [InlineData("1h30m", "01:30:00")]
    [InlineData("2d", "2.00:00:00")]
    [InlineData("250ms", "00:00:00.2500000")]
    [InlineData("1.5h", "01:30:00")]
    [InlineData("1H 30M", "01:30:00")]
    [InlineData("00:05:00", "00:05:00")]
    [InlineData("2.00:00:00", "2.00:00:00")]
    [InlineData("5x", null)]
    [InlineData("30m1h", null)]
    [InlineData("1h1h", null)]
    [InlineData("99999999999999d", null)]
    public void Times_are_read_as_people_write_them(string text, string? time) => Assert.Equal(time, Read($"Mail:Doors:0:Waits:one={text}")?.Doors[0].Waits["one"].ToString());

    [Theory]
    [InlineData("100MB", 100_000_000L)]
    [InlineData("64KiB", 65536L)]
    [InlineData("1.5 gib", 1_610_612_736L)]
    [InlineData("12B", 12L)]
    [InlineData("65536", 65536L)]
    [InlineData("5 apples", null)]
    [InlineData("99999999TiB", null)]
    public void Sizes_are_read_as_people_write_them(string text, long? bytes) => Assert.Equal(bytes, Read($"Mail:RoomBytes={text}")?.RoomBytes);

    [Theory]
    [InlineData("Mail:RoomBytes=much", "Mail:RoomBytes is 'much'; it must be a size such as 100MB, 64KiB or 65536")]
    // A number that counts no bytes has no unit.
    [InlineData("Mail:Size=100MB", "Mail:Size is '100MB'; it must be a whole number")]
    public void What_has_no_such_unit_is_told(string setting, string complaint) => A_setting_is_known_or_told(setting, complaint);

    [Theory]
    [InlineData(1, "1 byte")]
    [InlineData(1023, "1023 bytes")]
    [InlineData(2048, "2 KiB")]
    [InlineData(52_428_800, "50 MiB")]
    [InlineData(1_610_612_736, "1.5 GiB")]
    public void Sizes_are_printed_as_people_read_them(long bytes, string text) => Assert.Equal(text, Units.Size(bytes));

    /// <summary>Null: it was refused.</summary>
    private static MailStoreOptions? Read(string setting)
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection([KeyValuePair.Create(setting.Split('=')[0], (string?)setting.Split('=')[1])]).Build();
        try
        {
            return configuration.ReadSettings<MailStoreOptions>("Mail");
        }
        catch (OptionsValidationException)
        {
            return null;
        }
    }

    private sealed class MailStoreOptions
    {
        public int Size { get; set; }

        public long? Limit { get; set; }

        public long RoomBytes { get; set; }

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
