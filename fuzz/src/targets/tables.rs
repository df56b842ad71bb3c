//! The CSV files of an import.

use clap::Parser;
use quartermaster_server::cli::import::{self, ImportArgs};

use super::node;
use crate::{
    Target,
    mutate::Form,
    pieces::{self, Piece},
};

/// A piece is a file, its tag what the file holds.
pub(super) const TABLES: Target = Target {
    name: "tables",
    story: "the CSV and gzip files of an import: read and checked, with what is wrong told by row and column",
    run: tables,
    form: Form::Messages(5, |_| None),
    seeds,
    together: 1,
};

const FLAGS: [&str; 5] = ["--skus", "--locations", "--regions", "--channels", "--stock"];

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    import: ImportArgs,
}

fn tables(input: &[u8]) {
    let directory = node::scratch();
    let mut line = vec!["import".to_owned()];
    for Piece { tag, bytes } in pieces::read(input) {
        let flag = FLAGS[usize::from(tag) % FLAGS.len()];
        if line.iter().any(|known| known == flag) {
            continue;
        }
        let file = directory.path().join(flag);
        std::fs::write(&file, &bytes).expect("a scratch file is written");
        line.extend([flag.to_owned(), file.display().to_string()]);
    }
    let Ok(line) = Line::try_parse_from(line) else { return };
    _ = import::look_over(&line.import);
}

fn seeds() -> Vec<Vec<u8>> {
    let files = [
        "sku,style,colour,size,weight_g,currency,unit_value,sellable,category,length_mm,dangerous_goods,season\n\
         A,s,red,S,400,CNY,9900,yes,coats,300,,winter\nB,s,red,M,,,,no,,,9,\n",
        "location_id,city,kind,lat,lng,adcode,status,capabilities,priority,handling_cost,opens_local,cutoff_local,working_days,\
         time_zone,orders_per_day,channels\nL1,Shanghai,dc,31.2,121.5,310000,open,ship pickup,10,200,08:00,17:30,1-5,Asia/Shanghai,100,\
         app;web\nL2,,store,,,,paused,,,,,,,,,\n",
        "code,parent,name,lat,lng\n310000,,Shanghai,31.2,121.5\n310100,310000,,,\n",
        "channel_id,name,active\napp,App,true\nweb,\"Web, all\",0\n",
        "sku,location,on_hand,safety,qc,damaged,in_repair,incoming\nA,L1,10,1,0,0,0,5\nB,L2,4294967295,,,,,\n",
    ];
    let piece = |(tag, text): (u8, &&str)| Piece { tag, bytes: text.as_bytes().to_vec() };
    let all: Vec<Piece> = (0..).zip(&files).map(piece).collect();
    let mut seeds: Vec<Vec<u8>> = all.iter().map(|piece| pieces::write(std::slice::from_ref(piece))).collect();
    seeds.push(pieces::write(&all));
    seeds
}
